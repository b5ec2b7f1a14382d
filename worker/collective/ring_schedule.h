#ifndef LORY_WORKER_COLLECTIVE_RING_SCHEDULE_H_
#define LORY_WORKER_COLLECTIVE_RING_SCHEDULE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/collective/ring_link.h"

// What goes round the ring and when: the arithmetic of the collectives,
// without a socket in it.
namespace lory::collective {

// Several buffers seen as one. Thread-compatible.
class FloatPieces {
 public:
  explicit FloatPieces(std::span<const std::span<float>> pieces);

  int64_t size() const { return size_; }

  // The longest run from number `index` on that lies in one piece and has at
  // most `limit` numbers.
  std::span<float> Run(int64_t index, int64_t limit) const;

 private:
  std::vector<std::span<float>> pieces_;
  int64_t size_ = 0;
};

// The ring all-reduce: the buffer is cut into `world` segments. In the first
// world - 1 phases every segment travels once round the ring and each rank
// adds its own numbers to it; in the next world - 1 phases the finished
// segments travel on. Every number is summed on one rank and copied by the
// others, hence equal bits everywhere; the order of addition is that of the
// ring from the segment's first rank on.
//
// In phase p a rank sends segment (rank - p) and receives segment
// (rank - p - 1), modulo world; what it receives in one phase is what it sends
// in the next, so bytes are passed on as soon as they are summed.
class RingAllReduce final : public Outgoing, public Incoming {
 public:
  // `pieces` and `scratch` must outlive the object; world > 1. `scratch` is
  // where numbers wait to be added: a few hundred kilobytes.
  RingAllReduce(const FloatPieces& pieces, int rank, int world,
                std::span<float> scratch);

  bool SendDone() const override { return send_.phase == phase_count_; }
  std::span<const std::byte> ToSend() override;
  void Sent(size_t count) override;

  bool ReceiveDone() const override { return receive_.phase == phase_count_; }
  std::span<std::byte> ToFill() override;
  void Filled(size_t count) override;

 private:
  // How far one direction has come.
  struct Place {
    int phase = 0;
    int64_t bytes = 0;  // of this phase's segment
  };

  bool Reducing() const { return receive_.phase < world_ - 1; }
  // Segment sent in `phase`; the one received is that sent in phase + 1.
  int SegmentOf(int phase) const;
  int64_t SegmentBegin(int segment) const;
  int64_t SegmentBytes(int segment) const;
  // Moves `place` by `count` bytes, over empty segments too; `ahead` is 1 for
  // the receiving side.
  void Advance(Place* place, int64_t count, int ahead);
  // Bytes at `offset` of `segment`, at most `limit`, in one piece.
  std::span<std::byte> BytesAt(int segment, int64_t offset, int64_t limit);

  const FloatPieces& pieces_;
  const int rank_;
  const int world_;
  const int phase_count_;
  const std::span<float> scratch_;
  int64_t waiting_bytes_ = 0;  // in scratch, less than a whole number
  Place send_;
  Place receive_;  // while reducing: whole numbers added
};

// The ring broadcast: from the root along the ring, passed on as it arrives.
class RingBroadcast final : public Outgoing, public Incoming {
 public:
  RingBroadcast(std::span<std::byte> bytes, int rank, int world, int root);

  bool SendDone() const override { return sent_ == to_send_; }
  std::span<const std::byte> ToSend() override;
  void Sent(size_t count) override { sent_ += count; }

  bool ReceiveDone() const override { return received_ == bytes_.size(); }
  std::span<std::byte> ToFill() override { return bytes_.subspan(received_); }
  void Filled(size_t count) override { received_ += count; }

 private:
  const std::span<std::byte> bytes_;
  const size_t to_send_;  // all, or nothing on the last rank of the chain
  size_t sent_ = 0;
  size_t received_;  // all from the start on the root
};

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_RING_SCHEDULE_H_
