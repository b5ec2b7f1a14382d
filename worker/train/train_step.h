#ifndef LORY_WORKER_TRAIN_TRAIN_STEP_H_
#define LORY_WORKER_TRAIN_TRAIN_STEP_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "lory/v1/job.pb.h"
#include "worker/collective/communicator.h"
#include "worker/data/batch_loader.h"
#include "worker/model/routing_stats.h"
#include "worker/train/control_words.h"
#include "worker/train/training_state.h"

// One optimizer step in three parts: what a rank does alone, what all do
// together, and what each then does to its state.
namespace lory::train {

// What a rank's own micro-batches gave; the gradient is in the model.
struct LocalSums {
  int64_t token_count = 0;
  double loss_sum = 0;
  double auxiliary_sum = 0;
  uint64_t fingerprint_sum = 0;
  lory::model::RoutingStats routing;
  double data_seconds = 0;
  double forward_seconds = 0;
  double backward_seconds = 0;
};

// Runs the next `count` micro-batches of `loader` forward and backward, adding
// up the gradient of the sum of token losses and what goes with it. `progress`
// is called after each.
//
// INTERNAL: the loader has not that many, or not of this step.
// RESOURCE_EXHAUSTED: no memory. DATA_LOSS as Dataset::Read.
absl::StatusOr<LocalSums> AccumulateGradient(
    const lory::v1::JobSpec& spec, TrainingState& state,
    lory::data::BatchLoader& loader, int64_t count, Clock& clock,
    const std::function<void()>& progress);

// What all ranks together know after the all-reduce.
struct ReducedStep {
  std::vector<ControlWord> words;  // by rank
  Decision decision;
  lory::model::RoutingStats routing;
};

// Sums gradient, routing and words over the ranks, in one all-reduce. Errors as
// Communicator's; the gradient is then useless, the state untouched.
absl::StatusOr<ReducedStep> ReduceStep(
    TrainingState& state, const lory::model::RoutingStats& routing,
    const ControlWord& word, lory::collective::Communicator& communicator);

// The same without a gradient, for ranks that wait.
absl::StatusOr<ReducedStep> ReduceWords(
    const ControlWord& word, lory::collective::Communicator& communicator);

// What an update did.
struct StepResult {
  double loss = 0;            // nats a token
  double auxiliary_loss = 0;  // minimised beside it, in nats a token
  double learning_rate = 0;
  double gradient_norm = 0;  // before clipping
  bool skipped = false;      // loss or norm was not finite
};

// Applies the step: divides by the token count, clips, updates, extends the
// chain, turns the dense model into experts when it is time. A step whose loss
// or norm is not finite leaves the parameters alone, but counts. An error
// leaves the state useless.
absl::StatusOr<StepResult> ApplyStep(const lory::v1::JobSpec& spec,
                                     const Decision& decision,
                                     TrainingState& state);

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_TRAIN_STEP_H_
