#include "coordinator/plan/records.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {

using ::lory::internal::v1::GenerationEnded;
using ::lory::internal::v1::JournalRecord;

JournalRecord StateChange(const std::string& job, lory::v1::Job::State state,
                          std::string reason) {
  JournalRecord record;
  auto* event = record.mutable_job_state_changed();
  event->set_job(job);
  event->set_state(state);
  event->set_reason(std::move(reason));
  return record;
}

JournalRecord OpenGeneration(const std::string& job, int64_t generation,
                             const std::vector<SlotKey>& members,
                             std::string reason) {
  JournalRecord record;
  auto* event = record.mutable_generation_opened();
  event->set_job(job);
  event->set_generation(generation);
  event->set_reason(std::move(reason));
  for (const SlotKey& key : members) {
    auto* member = event->add_members();
    member->set_rank(event->members_size() - 1);
    member->set_worker(key.worker);
    member->set_slot(key.slot);
  }
  return record;
}

JournalRecord EndGeneration(const JobState& job, GenerationEnded::Cause cause,
                            std::string reason) {
  JournalRecord record;
  auto* event = record.mutable_generation_ended();
  event->set_job(job.name);
  event->set_generation(job.generation.number);
  event->set_reason(std::move(reason));
  event->set_by_fault(cause != GenerationEnded::CAUSE_UNSPECIFIED);
  event->set_cause(cause);
  return record;
}

void AddProgress(const Sessions& sessions, JournalRecord& record) {
  if (!record.has_job_state_changed()) return;
  auto& event = *record.mutable_job_state_changed();
  const JobRun* run = sessions.FindRun(event.job());
  if (HoldsSlots(event.state()) || run == nullptr) return;
  if (run->progress.step() <= 0) return;
  *event.mutable_progress() = run->progress;
  event.mutable_progress()->clear_evaluation();
}

std::string WhoRuns(const JobState& job) {
  return absl::StrCat("generation ", job.started.number,
                      IsEvaluation(job.spec) ? " evaluates on " : " trains on ",
                      Counted(job.started.members.size(), "trainer"));
}

}  // namespace lory::coordinator
