#include "coordinator/state/invariants.h"

#include <map>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::Job;
using Phase = GenerationState::Phase;

std::string CheckGeneration(const JobState& job) {
  const GenerationState& generation = job.generation;
  const std::set<SlotKey> distinct(generation.members.begin(),
                                   generation.members.end());
  if (distinct.size() != generation.members.size()) {
    return "a generation has a slot twice";
  }
  if (generation.live() && generation.members.empty()) {
    return "a generation lives without members";
  }
  if (static_cast<int>(generation.members.size()) >
      job.spec.micro_batch_count()) {
    return "a rank has no micro-batch";
  }
  if (generation.live() && !HoldsSlots(job.state)) {
    return absl::StrCat("a generation lives in state ",
                        Job::State_Name(job.state));
  }
  if (job.started.number > generation.number) {
    return "a generation started before it was opened";
  }
  if (generation.Is(Phase::kStarted) &&
      job.started.number != generation.number) {
    return "the started generation is not the newest";
  }
  if (generation.number < job.generations_before ||
      (job.started.number > 0 &&
       job.started.number <= job.generations_before)) {
    return "a generation of a deleted job is used again";
  }
  if (job.started.start_step > job.spec.step_count()) {
    return "a generation starts beyond the last step";
  }
  return "";
}

std::string CheckCheckpoints(const JobState& job) {
  for (const auto& [step, checkpoint] : job.checkpoints) {
    if (checkpoint.step() != step ||
        checkpoint.name() != CheckpointNameOf(job.name, step)) {
      return absl::StrCat(checkpoint.name(), " is filed under step ", step);
    }
    if (checkpoint.generation() > job.started.number) {
      return absl::StrCat(checkpoint.name(), " is of no started generation");
    }
    if (checkpoint.parts().empty() || checkpoint.sample_digest().size() != 32) {
      return absl::StrCat(checkpoint.name(), " is incomplete");
    }
  }
  const auto last = job.checkpoints.find(job.spec.step_count());
  if (job.state == Job::SUCCEEDED && last == job.checkpoints.end() &&
      !IsEvaluation(job.spec)) {
    return "it succeeded without a checkpoint of the last step";
  }
  return "";
}

}  // namespace

std::string FindViolation(const CoordinatorState& state) {
  std::map<SlotKey, std::string> users;
  for (const auto& [name, job] : state.jobs) {
    std::string wrong = CheckGeneration(job);
    if (wrong.empty()) wrong = CheckCheckpoints(job);
    if (wrong.empty() && IsFinal(job.state) != job.end_time.has_value()) {
      wrong = "its end time does not fit its state";
    }
    if (wrong.empty() &&
        job.event_count < static_cast<int64_t>(job.events.size())) {
      wrong = "events are counted wrong";
    }
    if (!wrong.empty()) return absl::StrCat(name, ": ", wrong);
    if (!job.generation.live()) continue;
    for (const SlotKey& key : job.generation.members) {
      const auto [user, is_new] = users.emplace(key, name);
      if (!is_new) {
        return absl::StrCat(ToString(key), " is used by ", name, " and ",
                            user->second);
      }
    }
  }
  if (state.requests.size() != state.request_order.size()) {
    return "answered requests are counted wrong";
  }
  return "";
}

std::string FindViolation(const CoordinatorState& state,
                          const Sessions& sessions) {
  for (const auto& [key, name] : sessions.leases) {
    const JobState* job = state.FindJob(name);
    if (job == nullptr || !HoldsSlots(job->state)) {
      return absl::StrCat(ToString(key), " is held by ", name,
                          ", which holds no slots");
    }
  }
  for (const auto& [name, run] : sessions.runs) {
    const JobState* job = state.FindJob(name);
    if (job == nullptr) return absl::StrCat(name, " runs, but does not exist");
    int sum = 0;
    for (const int32_t share : run.round.shares()) {
      if (share < 1) return absl::StrCat(name, ": a rank has no share");
      sum += share;
    }
    if (run.round.id() > 0 && sum != job->spec.micro_batch_count()) {
      return absl::StrCat(name, ": shares do not add up");
    }
  }
  return "";
}

std::string FindViolationBetween(const CoordinatorState& before,
                                 const CoordinatorState& after) {
  for (const auto& [name, old] : before.jobs) {
    const JobState* job = after.FindJob(name);
    if (job == nullptr) continue;  // deleted, perhaps many steps ago
    if (job->create_order != old.create_order) {
      if (job->generations_before < old.generation.number) {
        return absl::StrCat(name, ": generations of a deleted job come again");
      }
      continue;
    }
    if (old.state == Job::SUCCEEDED && job->state != old.state) {
      return absl::StrCat(name, " had SUCCEEDED");
    }
    if (job->generation.number < old.generation.number ||
        job->started.number < old.started.number) {
      return absl::StrCat(name, ": generations went back");
    }
    if (job->generation.number == old.generation.number &&
        old.generation.Is(Phase::kEnded) &&
        !job->generation.Is(Phase::kEnded)) {
      return absl::StrCat(name, ": an ended generation lives again");
    }
    if (job->recovery_count < old.recovery_count ||
        job->event_count < old.event_count) {
      return absl::StrCat(name, ": history was lost");
    }
    // Damage happens; but the service never deletes the last whole one.
    const Checkpoint* newest = old.NewestCheckpoint();
    if (newest != nullptr && job->NewestCheckpoint() == nullptr &&
        job->checkpoints.at(newest->step()).state() != Checkpoint::DAMAGED) {
      return absl::StrCat(name, ": the last checkpoint is gone");
    }
  }
  return "";
}

std::string Describe(const CoordinatorState& state) {
  std::string text;
  for (const auto& [name, job] : state.jobs) {
    absl::StrAppend(&text, name, " ", job.create_order, " ",
                    Job::State_Name(job.state), " '", job.reason, "' ",
                    job.recovery_count, " ", absl::FormatTime(job.create_time),
                    " ", absl::FormatTime(job.state_time), " ",
                    absl::FormatDuration(job.idle_time), " ",
                    absl::FormatTime(job.end_time.value_or(job.create_time)),
                    " ", job.error_is_of_job, "\n", job.spec.ShortDebugString(),
                    " ", job.dataset_sha256, "\n");
    const GenerationState& generation = job.generation;
    absl::StrAppend(&text, " after ", job.generations_before, " generation ",
                    generation.number, " ", static_cast<int>(generation.phase),
                    " ", generation.ended_by_fault, generation.urgent, " '",
                    generation.reason, "'", job.slots_let_go ? " let go" : "");
    for (const SlotKey& key : generation.members) {
      absl::StrAppend(&text, " ", ToString(key));
    }
    const StartedGeneration& started = job.started;
    absl::StrAppend(&text, "\n started ", started.number, " ",
                    started.start_step, " ", started.source_rank, " ",
                    started.restored_checkpoint_step, " ",
                    started.collective_token, "\n");
    for (const auto& [step, checkpoint] : job.checkpoints) {
      absl::StrAppend(&text, " ", checkpoint.ShortDebugString(), "\n");
    }
    for (const lory::v1::JobEvent& event : job.events) {
      absl::StrAppend(&text, " ", event.ShortDebugString(), "\n");
    }
  }
  for (const auto& [name, dataset] : state.datasets) {
    absl::StrAppend(&text, dataset.ShortDebugString(), "\n");
  }
  for (const std::string& worker : state.draining_workers) {
    absl::StrAppend(&text, worker, " drains\n");
  }
  for (const auto& [name, generation] : state.deleted_generations) {
    absl::StrAppend(&text, name, " was deleted after generation ", generation,
                    "\n");
  }
  absl::StrAppend(&text, "others up to generation ",
                  state.highest_deleted_generation, "\n");
  for (const std::string& id : state.request_order) {
    const AnsweredRequest& answered = state.requests.at(id);
    absl::StrAppend(&text, id, " ", answered.method, " ", answered.resource,
                    " ", answered.request_hash, "\n");
  }
  return text;
}

}  // namespace lory::coordinator
