#include "worker/train/train_step.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>

#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/data/sample_digest.h"
#include "worker/optim/gradient_norm.h"
#include "worker/optim/schedule.h"
#include "worker/train/torch_guard.h"

namespace lory::train {
namespace {

using ::lory::data::MicroBatch;
using ::lory::model::ForwardResult;
using ::lory::model::RoutingStats;

// Adds the seconds since the last call to one of several sums.
class Stopwatch {
 public:
  explicit Stopwatch(Clock& clock)
      : clock_(clock), last_(clock.MonotonicNow()) {}
  void AddTo(double* seconds) {
    const absl::Time now = clock_.MonotonicNow();
    *seconds += absl::ToDoubleSeconds(now - last_);
    last_ = now;
  }

 private:
  Clock& clock_;
  absl::Time last_;
};

std::span<float> FloatsOf(const at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(),
          static_cast<size_t>(tensor.numel())};
}

// Of the job's seed and the micro-batch's place, not of who trains it.
uint64_t NoiseSeed(const lory::v1::JobSpec& spec, const MicroBatch& batch) {
  const uint64_t step = Mix64(static_cast<uint64_t>(spec.seed())) +
                        static_cast<uint64_t>(batch.step);
  return Mix64(Mix64(step) + static_cast<uint64_t>(batch.index));
}

// Forward and backward of one micro-batch.
absl::Status RunMicroBatch(const lory::v1::JobSpec& spec,
                           const MicroBatch& batch, TrainingState& state,
                           Stopwatch& watch, LocalSums* sums) {
  return GuardTorch("micro-batch", [&] {
    const int64_t length =
        static_cast<int64_t>(batch.tokens.size()) / batch.rows;
    // The tensors borrow the batch's memory, which nothing writes to.
    const auto borrow = [&](const std::vector<int64_t>& ids) {
      return at::from_blob(const_cast<int64_t*>(ids.data()),
                           {batch.rows, length}, at::kLong);
    };
    ForwardResult result = state.model->Forward(
        borrow(batch.tokens), borrow(batch.targets),
        {.training = true,
         .noise_seed = NoiseSeed(spec, batch),
         .entropy = spec.kind() == lory::v1::JobSpec::ADAPT});
    sums->loss_sum += result.loss_sum.item<double>();
    if (result.auxiliary_sum.defined()) {
      sums->auxiliary_sum += result.auxiliary_sum.item<double>();
    }
    sums->token_count += result.token_count;
    sums->routing.Add(result.routing);
    watch.AddTo(&sums->forward_seconds);
    result.TrainingLoss().backward();
    watch.AddTo(&sums->backward_seconds);
  });
}

}  // namespace

absl::StatusOr<LocalSums> AccumulateGradient(
    const lory::v1::JobSpec& spec, TrainingState& state,
    lory::data::BatchLoader& loader, int64_t count, Clock& clock,
    const std::function<void()>& progress) {
  LocalSums sums;
  Stopwatch watch(clock);
  state.model->parameters().ZeroGradients();
  watch.AddTo(&sums.backward_seconds);
  for (int64_t i = 0; i < count; ++i) {
    LORY_ASSIGN_OR_RETURN(const std::optional<MicroBatch> batch, loader.Next());
    if (!batch.has_value() || batch->step != state.step) {
      return absl::InternalError(absl::StrCat("the loader has no micro-batch ",
                                              i, " for step ", state.step));
    }
    watch.AddTo(&sums.data_seconds);
    LORY_RETURN_IF_ERROR(RunMicroBatch(spec, *batch, state, watch, &sums));
    sums.fingerprint_sum += batch->fingerprint_sum;
    progress();
  }
  return sums;
}

absl::StatusOr<ReducedStep> ReduceStep(
    TrainingState& state, const RoutingStats& routing, const ControlWord& word,
    lory::collective::Communicator& communicator) {
  std::vector<float> words =
      EncodeControlWord(word, communicator.rank(), communicator.world_size());
  std::vector<float> flat = routing.Flatten();
  const std::vector<std::span<float>> pieces = {
      FloatsOf(state.model->parameters().flat_gradients()), flat, words};
  LORY_RETURN_IF_ERROR(communicator.AllReduceSum(pieces));
  ReducedStep reduced;
  reduced.words = DecodeControlWords(words);
  reduced.decision = Decide(reduced.words);
  if (!routing.empty()) {
    reduced.routing = RoutingStats::FromFlat(routing.layer_count(),
                                             routing.expert_count(), flat);
  }
  return reduced;
}

absl::StatusOr<ReducedStep> ReduceWords(
    const ControlWord& word, lory::collective::Communicator& communicator) {
  std::vector<float> words =
      EncodeControlWord(word, communicator.rank(), communicator.world_size());
  LORY_RETURN_IF_ERROR(communicator.AllReduceSum(std::span<float>(words)));
  ReducedStep reduced;
  reduced.words = DecodeControlWords(words);
  reduced.decision = Decide(reduced.words);
  return reduced;
}

absl::StatusOr<StepResult> ApplyStep(const lory::v1::JobSpec& spec,
                                     const Decision& decision,
                                     TrainingState& state) {
  StepResult result;
  const auto tokens = static_cast<double>(decision.token_count);
  result.loss = decision.loss_sum / tokens;
  result.auxiliary_loss = decision.auxiliary_sum / tokens;
  result.learning_rate = lory::optim::LearningRate(spec.optimizer(), state.step,
                                                   spec.step_count());
  LORY_RETURN_IF_ERROR(GuardTorch("update", [&] {
    lory::model::ParameterStore& store = state.model->parameters();
    result.gradient_norm =
        lory::optim::GradientNorm(store.flat_gradients()) / tokens;
    result.skipped =
        !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm);
    if (result.skipped) return;
    const double clip = lory::optim::ClipScale(
        result.gradient_norm, state.optimizer->settings().clip_norm);
    state.optimizer->Step(store, result.learning_rate, clip / tokens);
  }));
  state.nonfinite_in_row = result.skipped ? state.nonfinite_in_row + 1 : 0;
  state.nonfinite_count += result.skipped ? 1 : 0;
  state.chain =
      lory::data::NextDigest(state.chain, state.step, decision.fingerprint_sum);
  ++state.step;
  LORY_RETURN_IF_ERROR(UpcycleIfDue(spec, state));
  return result;
}

}  // namespace lory::train
