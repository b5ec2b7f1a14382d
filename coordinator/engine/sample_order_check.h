#ifndef LORY_COORDINATOR_ENGINE_SAMPLE_ORDER_CHECK_H_
#define LORY_COORDINATOR_ENGINE_SAMPLE_ORDER_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>

namespace lory::coordinator {

// Compares what one job says that it trained with what a run without faults
// trains: the chain of common/data/sample_digest.h, made here step by step from
// dataset and spec alone. One equal link proves every step before it. Small,
// copyable; thread-compatible.
class SampleOrderCheck {
 public:
  // What trainers, or a committed checkpoint, say: the chain after `step`
  // steps.
  struct Claim {
    int64_t step = 0;
    std::string digest;
    bool operator==(const Claim&) const = default;
  };

  // `sequence_count` of the dataset and `batch_sequences` of a step are above
  // 0.
  SampleOrderCheck(uint64_t seed, int64_t sequence_count,
                   int64_t batch_sequences);

  // Takes a claim up, unless it has one to work on. One that is no chain, that
  // was compared already, or that the own chain is past is passed over: later
  // ones prove its steps too.
  void Take(Claim claim);

  // Makes about `budget` samples' worth of the chain (whole steps, one at
  // least) on the way to the claim, and compares when it is there. Returns the
  // samples it took: 0 when there is nothing to do.
  int64_t Work(int64_t budget);

  // Every step before this one trained the samples it should have.
  int64_t verified_step() const { return verified_step_; }
  // Claims that were wrong. All that follow a wrong one are, too, unless the
  // job went back behind it.
  int64_t mismatch_count() const { return mismatch_count_; }
  // The newest claim that was compared.
  int64_t compared_step() const { return compared_.step; }

 private:
  uint64_t seed_;
  int64_t sequence_count_;
  int64_t batch_sequences_;
  int64_t step_ = 0;  // of chain_
  std::string chain_;
  std::optional<Claim> claim_;  // being worked on
  Claim compared_;
  int64_t verified_step_ = 0;
  int64_t mismatch_count_ = 0;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_ENGINE_SAMPLE_ORDER_CHECK_H_
