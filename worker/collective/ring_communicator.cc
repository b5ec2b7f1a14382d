#include "worker/collective/ring_communicator.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/collective/ring_schedule.h"

namespace lory::collective {
namespace {

// What a rank is about to do, exchanged with the neighbours before it: a rank
// that has lost its way is found at once and not by wrong sums.
enum class Call : uint32_t { kAllReduce = 1, kBroadcast = 2, kAllGather = 3 };

struct CallHeader {
  Call call = Call::kAllReduce;
  int32_t root = 0;
  int64_t sequence = 0;
  int64_t size = 0;  // -1: may differ between ranks
  bool operator==(const CallHeader&) const = default;
};

std::string Describe(const CallHeader& header) {
  static constexpr std::array<absl::string_view, 4> kNames = {
      "unknown", "all-reduce", "broadcast", "all-gather"};
  const auto name = std::min<size_t>(static_cast<size_t>(header.call), 3);
  return absl::StrCat("call ", header.sequence, " (", kNames[name], " of ",
                      header.size, ")");
}

template <typename T>
std::span<std::byte> BytesOf(T& value) {
  return std::as_writable_bytes(std::span<T, 1>(&value, 1));
}

// Numbers that wait in the second-level cache to be added.
constexpr size_t kScratchFloats = 64 << 10;

class RingCommunicator final : public Communicator {
 public:
  RingCommunicator(int rank, int world, std::unique_ptr<RingLink> link,
                   AbortSignal& abort)
      : rank_(rank),
        world_(world),
        link_(std::move(link)),
        abort_(abort),
        scratch_(kScratchFloats) {}

  int rank() const override { return rank_; }
  int world_size() const override { return world_; }

  absl::Status AllReduceSum(
      std::span<const std::span<float>> buffers) override {
    const FloatPieces pieces(buffers);
    LORY_RETURN_IF_ERROR(
        Agree({.call = Call::kAllReduce, .size = pieces.size() * 4}));
    RingAllReduce ring(pieces, rank_, world_, scratch_);
    return link_->Exchange(ring, ring);
  }

  absl::Status Broadcast(std::span<std::byte> bytes, int root) override {
    LORY_RETURN_IF_ERROR(Agree({.call = Call::kBroadcast,
                                .root = root,
                                .size = static_cast<int64_t>(bytes.size())}));
    RingBroadcast ring(bytes, rank_, world_, root);
    return link_->Exchange(ring, ring);
  }

  absl::StatusOr<std::vector<std::string>> AllGather(
      absl::string_view bytes) override;

  absl::Status Barrier() override { return AllGather("").status(); }

  void Abort() override { abort_.Raise(); }

  int failed_rank() const override { return link_->failed_rank(); }

 private:
  absl::Status Agree(CallHeader mine);

  const int rank_;
  const int world_;
  const std::unique_ptr<RingLink> link_;
  AbortSignal& abort_;
  std::vector<float> scratch_;
  int64_t next_sequence_ = 0;
};

absl::Status RingCommunicator::Agree(CallHeader mine) {
  mine.sequence = next_sequence_++;
  CallHeader theirs;
  LORY_RETURN_IF_ERROR(link_->Exchange(BytesOf(mine), BytesOf(theirs)));
  if (mine == theirs) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "rank ", (rank_ + world_ - 1) % world_, " makes ", Describe(theirs),
      " while rank ", rank_, " makes ", Describe(mine)));
}

absl::StatusOr<std::vector<std::string>> RingCommunicator::AllGather(
    absl::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) > kGatherLimit) {
    return absl::InternalError(absl::StrCat("all-gather of ", bytes.size(),
                                            " bytes, ", kGatherLimit,
                                            " are allowed"));
  }
  LORY_RETURN_IF_ERROR(Agree({.call = Call::kAllGather, .size = -1}));
  std::vector<std::string> all(world_);
  all[rank_] = std::string(bytes);
  for (int phase = 0; phase + 1 < world_; ++phase) {
    const std::string& out = all[(rank_ - phase + world_) % world_];
    std::string& in = all[(rank_ - phase - 1 + world_) % world_];
    int64_t out_size = static_cast<int64_t>(out.size());
    int64_t in_size = 0;
    LORY_RETURN_IF_ERROR(link_->Exchange(BytesOf(out_size), BytesOf(in_size)));
    if (in_size < 0 || in_size > kGatherLimit) {
      return absl::InternalError(
          absl::StrCat("a peer gathers ", in_size, " bytes"));
    }
    in.resize(in_size);
    LORY_RETURN_IF_ERROR(
        link_->Exchange(std::as_bytes(std::span<const char>(out)),
                        std::as_writable_bytes(std::span<char>(in))));
  }
  return all;
}

class SoloCommunicator final : public Communicator {
 public:
  explicit SoloCommunicator(AbortSignal& abort) : abort_(abort) {}

  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  absl::Status AllReduceSum(std::span<const std::span<float>>) override {
    return Barrier();
  }
  absl::Status Broadcast(std::span<std::byte>, int) override {
    return Barrier();
  }
  absl::StatusOr<std::vector<std::string>> AllGather(
      absl::string_view bytes) override {
    LORY_RETURN_IF_ERROR(Barrier());
    return std::vector<std::string>{std::string(bytes)};
  }
  absl::Status Barrier() override {
    return abort_.raised() ? absl::AbortedError("the collective was aborted")
                           : absl::OkStatus();
  }
  void Abort() override { abort_.Raise(); }
  int failed_rank() const override { return -1; }

 private:
  AbortSignal& abort_;
};

}  // namespace

std::unique_ptr<Communicator> MakeRingCommunicator(
    int rank, int world, std::unique_ptr<RingLink> link, AbortSignal& abort) {
  return std::make_unique<RingCommunicator>(rank, world, std::move(link),
                                            abort);
}

std::unique_ptr<Communicator> MakeSoloCommunicator(AbortSignal& abort) {
  return std::make_unique<SoloCommunicator>(abort);
}

}  // namespace lory::collective
