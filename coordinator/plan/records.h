#ifndef LORY_COORDINATOR_PLAN_RECORDS_H_
#define LORY_COORDINATOR_PLAN_RECORDS_H_

#include <string>
#include <vector>

#include "coordinator/state/coordinator_state.h"
#include "coordinator/state/sessions.h"
#include "lory/internal/v1/journal.pb.h"

// Journal records, short to write. Their time is set when they are appended.
namespace lory::coordinator {

lory::internal::v1::JournalRecord StateChange(const std::string& job,
                                              lory::v1::Job::State state,
                                              std::string reason);
lory::internal::v1::JournalRecord OpenGeneration(
    const std::string& job, int64_t generation,
    const std::vector<SlotKey>& members, std::string reason);
// CAUSE_UNSPECIFIED: no fault ends it.
lory::internal::v1::JournalRecord EndGeneration(
    const JobState& job, lory::internal::v1::GenerationEnded::Cause cause,
    std::string reason);

// Where a state change lets a job's slots go: adds what its newest step was
// like, which is shown of it after this process, too.
void AddProgress(const Sessions& sessions,
                 lory::internal::v1::JournalRecord& record);

// "generation 2 trains on 3 trainers", of a job that runs.
std::string WhoRuns(const JobState& job);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_RECORDS_H_
