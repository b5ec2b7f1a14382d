#include "coordinator/state/coordinator_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/state/job_events.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::internal::v1::JournalRecord;
using ::lory::v1::Checkpoint;
using ::lory::v1::Job;
using Phase = GenerationState::Phase;

int RankIn(const std::vector<SlotKey>& members, const SlotKey& key) {
  const auto found = std::find(members.begin(), members.end(), key);
  return found == members.end() ? -1
                                : static_cast<int>(found - members.begin());
}

std::vector<SlotKey> MembersOf(
    const google::protobuf::RepeatedPtrField<lory::v1::JobMember>& members) {
  std::vector<SlotKey> keys;
  for (const auto& member : members) {
    keys.push_back({member.worker(), member.slot()});
  }
  return keys;
}

int64_t CommittedCount(const JobState& job) {
  return std::count_if(
      job.checkpoints.begin(), job.checkpoints.end(), [](const auto& entry) {
        return entry.second.state() == lory::v1::Checkpoint::COMMITTED;
      });
}

absl::Status Impossible(absl::string_view why) {
  return absl::DataLossError(why);
}

// One record being applied.
class Change {
 public:
  Change(CoordinatorState& state, const JournalRecord& record)
      : state_(state), record_(record), time_(TimeOf(record.time())) {}

  absl::Status Apply() {
    switch (record_.event_case()) {
      case JournalRecord::kJobCreated:
        return Created(record_.job_created().job());
      case JournalRecord::kJobStateChanged:
        return StateChanged(record_.job_state_changed());
      case JournalRecord::kJobSpecChanged:
        return SpecChanged(record_.job_spec_changed());
      case JournalRecord::kJobDeleted:
        return Deleted(record_.job_deleted().job());
      case JournalRecord::kGenerationOpened:
        return Opened(record_.generation_opened());
      case JournalRecord::kGenerationStarted:
        return Started(record_.generation_started());
      case JournalRecord::kGenerationEnded:
        return Ended(record_.generation_ended());
      case JournalRecord::kCheckpointCommitted:
        return Committed(record_.checkpoint_committed());
      case JournalRecord::kCheckpointStateChanged:
        return CheckpointChanged(record_.checkpoint_state_changed());
      case JournalRecord::kDatasetCreated:
        return DatasetCreated(record_.dataset_created().dataset());
      case JournalRecord::kDatasetDeleted:
        state_.datasets.erase(record_.dataset_deleted().dataset());
        return absl::OkStatus();
      case JournalRecord::kWorkerDrainChanged:
        return DrainChanged(record_.worker_drain_changed());
      case JournalRecord::kJobEventAdded:
        return EventAdded(record_.job_event_added());
      case JournalRecord::kRequestAnswered:
        return Answered(record_.request_answered());
      case JournalRecord::EVENT_NOT_SET:
        break;
    }
    return Impossible("an event of a kind this version does not know");
  }

 private:
  JobState* Find(const std::string& name) {
    const auto found = state_.jobs.find(name);
    return found == state_.jobs.end() ? nullptr : &found->second;
  }

  absl::Status NoJob(const std::string& name) {
    return Impossible(absl::StrCat("no job ", name));
  }

  absl::Status Created(const Job& job) {
    if (Find(job.name()) != nullptr) {
      return Impossible(absl::StrCat(job.name(), " was created twice"));
    }
    JobState& created = state_.jobs[job.name()];
    created.name = job.name();
    created.create_order = ++state_.jobs_created;
    created.spec = job.spec();
    const auto dataset = state_.datasets.find(job.spec().dataset());
    if (dataset != state_.datasets.end()) {
      created.dataset_sha256 = dataset->second.manifest_sha256();
    }
    if (job.has_initial_checkpoint()) {
      created.initial_checkpoint = job.initial_checkpoint();
    }
    created.state = Job::QUEUED;
    created.reason = job.reason();
    created.create_time = TimeOf(job.create_time());
    created.state_time = created.create_time;
    created.generations_before = job.generation();
    created.generation.number = job.generation();
    state_.deleted_generations.erase(job.name());
    AddEvent(created, time_, StateEvent(created));
    return absl::OkStatus();
  }

  absl::Status StateChanged(const lory::internal::v1::JobStateChanged& event) {
    JobState* job = Find(event.job());
    if (job == nullptr) return NoJob(event.job());
    const bool same = job->state == event.state();
    if (!same && !TransitionAllowed(job->state, event.state())) {
      return Impossible(absl::StrCat(event.job(), " cannot go from ",
                                     Job::State_Name(job->state), " to ",
                                     Job::State_Name(event.state())));
    }
    const Job::State before = job->state;
    if (!same) {
      const bool idle =
          before == Job::PAUSED || before == Job::QUEUED || IsFinal(before);
      if (idle && job->start_time) job->idle_time += time_ - job->state_time;
      job->state_time = time_;
    }
    job->state = event.state();
    job->reason = event.reason();
    job->error_is_of_job = event.error_is_of_job();
    if (!HoldsSlots(job->state)) job->slots_let_go = true;
    if (event.has_progress()) job->progress = event.progress();
    if (IsFinal(job->state)) {
      job->end_time = time_;
    } else if (IsFinal(before)) {
      // What it failed of is over: its next generation recovers from nothing.
      job->end_time.reset();
      job->generation.ended_by_fault = false;
    }
    if (same) return absl::OkStatus();
    AddEvent(*job, time_, StateEvent(*job));
    if (before == Job::RECOVERING && job->state == Job::RUNNING &&
        job->fault_time) {
      AddEvent(*job, time_, RecoveredEvent(*job, time_ - *job->fault_time));
    }
    if (job->state != Job::RECOVERING) job->fault_time.reset();
    return absl::OkStatus();
  }

  absl::Status SpecChanged(const lory::internal::v1::JobSpecChanged& event) {
    JobState* job = Find(event.job());
    if (job == nullptr) return NoJob(event.job());
    AddEvent(*job, time_, SpecEvent(*job, event.spec()));
    job->spec = event.spec();
    return absl::OkStatus();
  }

  absl::Status Deleted(const std::string& name) {
    const JobState* job = Find(name);
    if (job == nullptr) return NoJob(name);
    if (!IsFinal(job->state)) {
      return Impossible(absl::StrCat(name, " was deleted while alive"));
    }
    // At least 1, also if none was opened: who waits for the first generation
    // of a job that had the name before must be told from its successor's.
    state_.deleted_generations[name] =
        std::max<int64_t>(job->generation.number, 1);
    state_.jobs.erase(name);
    if (state_.deleted_generations.size() > CoordinatorState::kMaxDeletedJobs) {
      for (const auto& [other, last] : state_.deleted_generations) {
        state_.highest_deleted_generation =
            std::max(state_.highest_deleted_generation, last);
      }
      state_.deleted_generations.clear();
    }
    return absl::OkStatus();
  }

  absl::Status Opened(const lory::internal::v1::GenerationOpened& event) {
    JobState* job = Find(event.job());
    if (job == nullptr) return NoJob(event.job());
    GenerationState& generation = job->generation;
    if (generation.live()) {
      return Impossible(absl::StrCat("generation ", generation.number, " of ",
                                     event.job(), " has not ended"));
    }
    if (event.generation() != generation.number + 1) {
      return Impossible(absl::StrCat("generation ", event.generation(), " of ",
                                     event.job(), " cannot follow generation ",
                                     generation.number));
    }
    generation = {.number = event.generation(),
                  .phase = Phase::kOpened,
                  .members = MembersOf(event.members()),
                  .reason = event.reason(),
                  .urgent = generation.ended_by_fault};
    job->slots_let_go = false;
    AddEvent(*job, time_, OpenedEvent(*job));
    return absl::OkStatus();
  }

  absl::Status Started(const lory::internal::v1::GenerationStarted& event) {
    JobState* job = Find(event.job());
    if (job == nullptr) return NoJob(event.job());
    if (job->generation.number != event.generation() ||
        !job->generation.Is(Phase::kOpened)) {
      return Impossible(absl::StrCat("generation ", event.generation(), " of ",
                                     event.job(), " is not open"));
    }
    job->generation.phase = Phase::kStarted;
    job->started = {
        .number = event.generation(),
        .members = MembersOf(event.members()),
        .peer_endpoints = {event.peer_endpoints().begin(),
                           event.peer_endpoints().end()},
        .collective_token = event.collective_token(),
        .start_step = event.start_step(),
        .source_rank = event.source_rank(),
        .restored_checkpoint_step = event.restored_checkpoint_step()};
    for (auto it = job->checkpoints.upper_bound(event.start_step());
         it != job->checkpoints.end(); ++it) {
      job->overtaken.insert(it->first);
    }
    if (!job->start_time) job->start_time = time_;
    AddEvent(*job, time_, StartedEvent(*job));
    return absl::OkStatus();
  }

  absl::Status Ended(const lory::internal::v1::GenerationEnded& event) {
    JobState* job = Find(event.job());
    if (job == nullptr) return NoJob(event.job());
    GenerationState& generation = job->generation;
    if (generation.number != event.generation() || !generation.live()) {
      return Impossible(absl::StrCat("generation ", event.generation(), " of ",
                                     event.job(), " does not live"));
    }
    if (event.by_fault() && generation.Is(Phase::kStarted)) {
      ++job->recovery_count;
    }
    if (event.by_fault() && !job->fault_time) job->fault_time = time_;
    generation.phase = Phase::kEnded;
    generation.ended_by_fault = event.by_fault();
    AddEvent(*job, time_, EndedEvent(*job, event));
    return absl::OkStatus();
  }

  absl::Status Committed(const lory::internal::v1::CheckpointCommitted& event) {
    JobState* job = Find(event.job());
    if (job == nullptr) return NoJob(event.job());
    Checkpoint& checkpoint = job->checkpoints[event.checkpoint().step()];
    if (checkpoint.generation() > event.checkpoint().generation()) {
      return Impossible(absl::StrCat(event.checkpoint().name(),
                                     " was written by generation ",
                                     checkpoint.generation(), " already"));
    }
    checkpoint = event.checkpoint();
    job->overtaken.erase(checkpoint.step());
    AddEvent(*job, time_, CheckpointEvent(checkpoint));
    return absl::OkStatus();
  }

  absl::Status CheckpointChanged(
      const lory::internal::v1::CheckpointStateChanged& event) {
    const std::optional<CheckpointName> name =
        ParseCheckpointName(event.name());
    JobState* job = name ? Find(name->job) : nullptr;
    if (job == nullptr || job->checkpoints.count(name->step) == 0) {
      return Impossible(absl::StrCat("no checkpoint ", event.name()));
    }
    Checkpoint& checkpoint = job->checkpoints[name->step];
    checkpoint.set_state(event.state());
    checkpoint.set_reason(event.reason());
    AddEvent(*job, time_, CheckpointEvent(checkpoint));
    return absl::OkStatus();
  }

  absl::Status DatasetCreated(const lory::v1::Dataset& dataset) {
    if (!state_.datasets.emplace(dataset.name(), dataset).second) {
      return Impossible(absl::StrCat(dataset.name(), " was created twice"));
    }
    return absl::OkStatus();
  }

  absl::Status DrainChanged(
      const lory::internal::v1::WorkerDrainChanged& event) {
    if (event.drain()) {
      state_.draining_workers.insert(event.worker());
    } else {
      state_.draining_workers.erase(event.worker());
    }
    return absl::OkStatus();
  }

  absl::Status EventAdded(const lory::internal::v1::JobEventAdded& event) {
    JobState* job = Find(event.job());
    if (job == nullptr) return NoJob(event.job());
    if (event.has_evaluation()) job->evaluation = event.evaluation();
    if (event.event().kind() == lory::v1::JobEvent::CHECKPOINT_FAILED) {
      job->failed_checkpoint = {event.event().generation(),
                                event.event().step()};
    }
    AddEvent(*job, time_, event.event());
    return absl::OkStatus();
  }

  absl::Status Answered(const lory::internal::v1::RequestAnswered& event) {
    const bool is_new =
        state_.requests
            .insert_or_assign(event.request_id(),
                              AnsweredRequest{event.method(), event.resource(),
                                              event.request_hash()})
            .second;
    if (is_new) state_.request_order.push_back(event.request_id());
    while (state_.request_order.size() > CoordinatorState::kMaxRequests) {
      state_.requests.erase(state_.request_order.front());
      state_.request_order.pop_front();
    }
    return absl::OkStatus();
  }

  CoordinatorState& state_;
  const JournalRecord& record_;
  const absl::Time time_;
};

}  // namespace

std::string ToString(const SlotKey& key) {
  return absl::StrCat(key.worker, " slot ", key.slot);
}

int GenerationState::RankOf(const SlotKey& key) const {
  return RankIn(members, key);
}

int StartedGeneration::RankOf(const SlotKey& key) const {
  return RankIn(members, key);
}

const Checkpoint* JobState::NewestCheckpoint() const {
  for (auto it = checkpoints.rbegin(); it != checkpoints.rend(); ++it) {
    if (it->second.state() == Checkpoint::COMMITTED) return &it->second;
  }
  return nullptr;
}

const JobState* CoordinatorState::FindJob(const std::string& name) const {
  const auto found = jobs.find(name);
  return found == jobs.end() ? nullptr : &found->second;
}

const JobState* CoordinatorState::FindBeginner(
    const std::string& checkpoint) const {
  for (const auto& [name, job] : jobs) {
    if (job.initial_checkpoint && !IsFinal(job.state) &&
        job.initial_checkpoint->name() == checkpoint &&
        CommittedCount(job) < 2) {
      return &job;
    }
  }
  return nullptr;
}

int64_t CoordinatorState::GenerationsBefore(const std::string& name) const {
  const auto found = deleted_generations.find(name);
  return std::max(highest_deleted_generation,
                  found == deleted_generations.end() ? 0 : found->second);
}

absl::Status CoordinatorState::Apply(const JournalRecord& record) {
  LORY_RETURN_IF_ERROR(Change(*this, record).Apply());
  ++records_applied;
  return absl::OkStatus();
}

}  // namespace lory::coordinator
