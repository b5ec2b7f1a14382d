#ifndef LORY_COORDINATOR_PLAN_RETENTION_PLAN_H_
#define LORY_COORDINATOR_PLAN_RETENTION_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/plan/plan_options.h"

// Which checkpoints are kept.
namespace lory::coordinator {

// Events that mark checkpoints DELETED: all but the newest `keep_count`
// committed ones. Never the newest, never the one that the newest generation
// began from before it has one of its own, and none that another job is still
// to begin from. Damaged ones go once they would be too old.
Plan PlanRetention(const CoordinatorState& state, const JobState& job);

// Whether a person may delete the checkpoint of `step`.
//
// FAILED_PRECONDITION, LAST_CHECKPOINT: it is the newest committed one, or the
// newest generation begins from it. CHECKPOINT_IN_USE: another job is to begin
// from it.
absl::Status CheckDeletable(const CoordinatorState& state, const JobState& job,
                            int64_t step);

// Whether no job that has not ended is to begin from a checkpoint of `job`.
//
// FAILED_PRECONDITION, CHECKPOINT_IN_USE: one is.
absl::Status CheckNoneBegins(const CoordinatorState& state,
                             const JobState& job);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_RETENTION_PLAN_H_
