#ifndef LORY_COORDINATOR_PLAN_WORKER_PLAN_H_
#define LORY_COORDINATOR_PLAN_WORKER_PLAN_H_

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/plan/plan_options.h"

// What people do to workers.
namespace lory::coordinator {

// What of `worker`, which is known, the journal must forget when it is removed
// from the lists; often nothing.
//
// FAILED_PRECONDITION: WORKER_ALIVE, it attends or may yet come back;
// WORKER_IN_USE, a job holds a slot of it, or has it for a member.
absl::StatusOr<Plan> PlanWorkerDeletion(const View& view,
                                        const std::string& worker);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_WORKER_PLAN_H_
