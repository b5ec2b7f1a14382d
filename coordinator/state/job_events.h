#ifndef LORY_COORDINATOR_STATE_JOB_EVENTS_H_
#define LORY_COORDINATOR_STATE_JOB_EVENTS_H_

#include <string>

#include "absl/time/time.h"
#include "coordinator/state/coordinator_state.h"
#include "lory/internal/v1/journal.pb.h"
#include "lory/v1/job.pb.h"

// The timeline of a job, derived from records while they are applied.
namespace lory::coordinator {

// Appends `event` with its name and time; drops the oldest beyond the bound.
void AddEvent(JobState& job, absl::Time time, lory::v1::JobEvent event);

// What each kind of record looks like to people. `job` is after the change,
// except for SpecEvent.
lory::v1::JobEvent StateEvent(const JobState& job);
lory::v1::JobEvent RecoveredEvent(const JobState& job, absl::Duration after);
lory::v1::JobEvent SpecEvent(const JobState& job,
                             const lory::v1::JobSpec& changed);
lory::v1::JobEvent OpenedEvent(const JobState& job);
lory::v1::JobEvent StartedEvent(const JobState& job);
lory::v1::JobEvent EndedEvent(const JobState& job,
                              const lory::internal::v1::GenerationEnded& ended);
// "exit", "silence", "collective", "prepare", "checkpoint", or "other".
std::string CauseName(lory::internal::v1::GenerationEnded::Cause cause);
lory::v1::JobEvent CheckpointEvent(const lory::v1::Checkpoint& checkpoint);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_STATE_JOB_EVENTS_H_
