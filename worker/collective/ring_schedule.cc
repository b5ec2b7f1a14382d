#include "worker/collective/ring_schedule.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"

namespace lory::collective {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

// A vector of the processor's own width would need flags for one processor;
// this becomes two instructions of any x86-64, and the loop waits for memory.
using Lanes [[gnu::vector_size(32)]] = float;

void AddTo(std::span<float> sums, const float* numbers) {
  constexpr size_t kLanes = sizeof(Lanes) / sizeof(float);
  size_t i = 0;
  for (; i + kLanes <= sums.size(); i += kLanes) {
    Lanes a, b;
    std::memcpy(&a, sums.data() + i, sizeof(a));
    std::memcpy(&b, numbers + i, sizeof(b));
    a += b;
    std::memcpy(sums.data() + i, &a, sizeof(a));
  }
  for (; i < sums.size(); ++i) sums[i] += numbers[i];
}

}  // namespace

FloatPieces::FloatPieces(std::span<const std::span<float>> pieces)
    : pieces_(pieces.begin(), pieces.end()) {
  for (const std::span<float> piece : pieces_) {
    size_ += static_cast<int64_t>(piece.size());
  }
}

std::span<float> FloatPieces::Run(int64_t index, int64_t limit) const {
  for (const std::span<float> piece : pieces_) {
    const int64_t size = static_cast<int64_t>(piece.size());
    if (index < size) {
      return piece.subspan(index, std::min(limit, size - index));
    }
    index -= size;
  }
  return {};
}

RingAllReduce::RingAllReduce(const FloatPieces& pieces, int rank, int world,
                             std::span<float> scratch)
    : pieces_(pieces),
      rank_(rank),
      world_(world),
      phase_count_(2 * (world - 1)),
      scratch_(scratch) {
  LORY_CHECK(world > 1 && !scratch.empty());
  Advance(&send_, 0, 0);
  Advance(&receive_, 0, 1);
}

int RingAllReduce::SegmentOf(int phase) const {
  return (rank_ - phase + 2 * world_) % world_;
}

int64_t RingAllReduce::SegmentBegin(int segment) const {
  return pieces_.size() * segment / world_;
}

int64_t RingAllReduce::SegmentBytes(int segment) const {
  return (SegmentBegin(segment + 1) - SegmentBegin(segment)) * kFloatBytes;
}

void RingAllReduce::Advance(Place* place, int64_t count, int ahead) {
  place->bytes += count;
  while (place->phase < phase_count_ &&
         place->bytes == SegmentBytes(SegmentOf(place->phase + ahead))) {
    ++place->phase;
    place->bytes = 0;
  }
}

std::span<std::byte> RingAllReduce::BytesAt(int segment, int64_t offset,
                                            int64_t limit) {
  // Room for the number that `offset` may cut, at either end.
  const std::span<float> run =
      pieces_.Run(SegmentBegin(segment) + offset / kFloatBytes,
                  (limit + 2 * kFloatBytes - 1) / kFloatBytes);
  const std::span<std::byte> bytes =
      std::as_writable_bytes(run).subspan(offset % kFloatBytes);
  return bytes.first(std::min<size_t>(bytes.size(), limit));
}

std::span<const std::byte> RingAllReduce::ToSend() {
  if (SendDone()) return {};
  const int segment = SegmentOf(send_.phase);
  int64_t ready = SegmentBytes(segment);
  // All but the first segment must have been received in the phase before.
  if (send_.phase > 0 && receive_.phase < send_.phase) {
    ready = receive_.phase == send_.phase - 1 ? receive_.bytes : 0;
  }
  if (ready <= send_.bytes) return {};
  return BytesAt(segment, send_.bytes, ready - send_.bytes);
}

void RingAllReduce::Sent(size_t count) {
  Advance(&send_, static_cast<int64_t>(count), 0);
}

std::span<std::byte> RingAllReduce::ToFill() {
  const int segment = SegmentOf(receive_.phase + 1);
  const int64_t missing = SegmentBytes(segment) - receive_.bytes;
  if (!Reducing()) return BytesAt(segment, receive_.bytes, missing);
  const int64_t room = std::min<int64_t>(scratch_.size_bytes(), missing);
  return std::as_writable_bytes(scratch_).subspan(waiting_bytes_,
                                                  room - waiting_bytes_);
}

void RingAllReduce::Filled(size_t count) {
  if (!Reducing()) {
    Advance(&receive_, static_cast<int64_t>(count), 1);
    return;
  }
  waiting_bytes_ += static_cast<int64_t>(count);
  const int64_t whole = waiting_bytes_ / kFloatBytes;
  int64_t index = SegmentBegin(SegmentOf(receive_.phase + 1)) +
                  receive_.bytes / kFloatBytes;
  for (int64_t done = 0; done < whole;) {
    const std::span<float> sums = pieces_.Run(index, whole - done);
    AddTo(sums, scratch_.data() + done);
    done += static_cast<int64_t>(sums.size());
    index += static_cast<int64_t>(sums.size());
  }
  waiting_bytes_ -= whole * kFloatBytes;
  std::memmove(scratch_.data(), scratch_.data() + whole, waiting_bytes_);
  Advance(&receive_, whole * kFloatBytes, 1);
}

RingBroadcast::RingBroadcast(std::span<std::byte> bytes, int rank, int world,
                             int root)
    : bytes_(bytes),
      to_send_((rank + 1) % world == root ? 0 : bytes.size()),
      received_(rank == root ? bytes.size() : 0) {}

std::span<const std::byte> RingBroadcast::ToSend() {
  if (SendDone()) return {};
  return bytes_.subspan(sent_, received_ - sent_);
}

}  // namespace lory::collective
