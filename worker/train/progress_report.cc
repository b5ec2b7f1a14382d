#include "worker/train/progress_report.h"

#include <cmath>
#include <utility>

namespace lory::train {

lory::v1::JobProgress DescribeProgress(const JobContext& job,
                                       const TrainingState& state,
                                       const Decision& decision,
                                       const StepResult& result,
                                       const lory::v1::StepTimes& times,
                                       const ProgressMeter& meter) {
  lory::v1::JobProgress progress;
  progress.set_step(state.step);
  progress.set_step_count(job.spec.step_count());
  progress.set_loss(result.loss);
  progress.set_auxiliary_loss(result.auxiliary_loss);
  progress.set_learning_rate(result.learning_rate);
  progress.set_gradient_norm(result.gradient_norm);
  progress.set_tokens_per_second(meter.tokens_per_second());
  const auto sequences = static_cast<double>(
      state.step * job.grid.micro_batch_count * job.grid.micro_batch_sequences);
  progress.set_epoch(sequences /
                     static_cast<double>(job.dataset->sequence_count()));
  const double remaining =
      meter.step_seconds() *
      static_cast<double>(job.spec.step_count() - state.step);
  const double whole = std::floor(remaining);
  progress.mutable_remaining_time()->set_seconds(static_cast<int64_t>(whole));
  progress.mutable_remaining_time()->set_nanos(
      static_cast<int32_t>((remaining - whole) * 1e9));
  for (auto& layer : DescribeRouting(meter.routing())) {
    layer.set_active_share(meter.expert_use().ActiveShare(layer.layer()));
    *progress.add_routing() = std::move(layer);
  }
  progress.set_nonfinite_step_count(state.nonfinite_count);
  progress.set_sample_digest(state.chain);
  progress.set_dense_phase(state.model->is_dense_phase());
  *progress.mutable_step_times() = times;
  progress.set_resident_bytes(decision.resident_bytes);
  return progress;
}

}  // namespace lory::train
