#ifndef LORY_COORDINATOR_PLAN_JOB_PLAN_H_
#define LORY_COORDINATOR_PLAN_JOB_PLAN_H_

#include <string>

#include "coordinator/plan/plan_options.h"

// Where a job goes next in its life, from what its trainers say.
namespace lory::coordinator {

// Transitions that nobody has to ask for: STARTING to RUNNING, RUNNING to
// RECOVERING and back, the ends. At most one; `reason` is that of the state.
Plan PlanJob(const View& view, const JobState& job);

// The newest evaluation, when the journal does not have it yet.
Plan PlanEvaluation(const View& view, const JobState& job);

// Tells of the first slot that was barred from the job and not told of yet.
Plan PlanBarred(const View& view, const JobState& job);

// Why the job's slots must be given back although it is not done, such as
// "workers/a drains"; empty: they need not.
// `replacements`: slots it is about to be given.
std::string EvictionByDrain(const View& view, const JobState& job,
                            int replacements);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_JOB_PLAN_H_
