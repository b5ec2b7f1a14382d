#ifndef LORY_COORDINATOR_PLAN_RESUME_PLAN_H_
#define LORY_COORDINATOR_PLAN_RESUME_PLAN_H_

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/plan/plan_options.h"

// How a job that was stopped goes on.
namespace lory::coordinator {

// Queues a job again that is PAUSED, FAILED or CANCELLED; it goes on from its
// newest checkpoint. One that FAILED without any begins anew.
//
// FAILED_PRECONDITION: JOB_STATE, it is in another state, or was cancelled
// without a checkpoint; FAULT_OF_JOB, what it failed of would come again;
// DATASET_CHANGED, its data are not registered any more; NO_SUCH_CHECKPOINT,
// what it would begin anew from is gone.
absl::StatusOr<Plan> PlanResume(const CoordinatorState& state,
                                const JobState& job);

// Of a job that has ended, whether and how it can go on, in a sentence; empty:
// it has nothing left to do.
std::string ExplainResume(const CoordinatorState& state, const JobState& job);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_RESUME_PLAN_H_
