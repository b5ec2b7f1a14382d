#include "coordinator/engine/sample_order_check.h"

#include <utility>

#include "common/data/sample_digest.h"

namespace lory::coordinator {

SampleOrderCheck::SampleOrderCheck(uint64_t seed, int64_t sequence_count,
                                   int64_t batch_sequences)
    : seed_(seed),
      sequence_count_(sequence_count),
      batch_sequences_(batch_sequences),
      chain_(data::InitialDigest()) {}

void SampleOrderCheck::Take(Claim claim) {
  const bool is_chain = claim.digest.size() == data::InitialDigest().size();
  if (claim_ || !is_chain || claim.step < step_ || claim == compared_) return;
  claim_ = std::move(claim);
}

int64_t SampleOrderCheck::Work(int64_t budget) {
  if (!claim_) return 0;
  int64_t made = 0;
  while (step_ < claim_->step && made < budget) {
    chain_ =
        data::NextDigest(chain_, step_,
                         data::ExpectedFingerprintSum(seed_, sequence_count_,
                                                      step_, batch_sequences_));
    ++step_;
    made += batch_sequences_;
  }
  if (step_ < claim_->step) return made;
  if (claim_->digest == chain_) {
    verified_step_ = step_;
  } else {
    ++mismatch_count_;
  }
  compared_ = *std::exchange(claim_, std::nullopt);
  return made;
}

}  // namespace lory::coordinator
