#include "worker/train/warm_up.h"

#include <cstdint>

#include "common/base/status_macros.h"
#include "worker/train/train_step.h"
#include "worker/train/training_state.h"

namespace lory::train {

absl::Status WarmUp(JobContext& job, Clock& clock,
                    const std::function<void()>& progress) {
  if (job.spec.kind() == lory::v1::JobSpec::EVALUATE) return absl::OkStatus();
  // The last step has the experts, if the job has any.
  const int64_t step = job.spec.step_count() - 1;
  LORY_ASSIGN_OR_RETURN(TrainingState state, BlankState(job.spec, step));
  progress();
  job.loader->Start(
      {.first_step = step, .end_step = step + 1, .first = 0, .count = 1});
  return AccumulateGradient(job.spec, state, *job.loader, 1, clock, progress)
      .status();
}

}  // namespace lory::train
