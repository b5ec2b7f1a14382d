#include "coordinator/plan/checkpoint_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "coordinator/plan/rendezvous_plan.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::CheckpointPart;
using ::lory::v1::CommitCheckpointRequest;
using ::lory::v1::Job;

CheckpointDecision Take(std::string reason) {
  return {true, std::move(reason)};
}

CheckpointDecision NotNow(std::string reason) {
  return {false, std::move(reason)};
}

absl::Status CheckShape(const CommitCheckpointRequest& request) {
  const CheckpointPart& part = request.part();
  std::vector<FieldViolation> wrong;
  const auto expect = [&](bool good, const char* field, std::string what) {
    if (!good) wrong.push_back({field, std::move(what)});
  };
  expect(request.step() >= 0, "step", "must not be negative");
  expect(
      part.count() >= 1 && part.index() >= 0 && part.index() < part.count(),
      "part.index",
      absl::StrCat("part ", part.index(), " of ", part.count(), " cannot be"));
  const std::string file = PartFile(part.index(), part.count());
  expect(part.file() == file, "part.file", absl::StrCat("must be ", file));
  expect(part.size_bytes() > 0, "part.size_bytes", "must be above 0");
  const bool hex =
      part.sha256().size() == 64 &&
      std::all_of(part.sha256().begin(), part.sha256().end(),
                  [](unsigned char c) { return absl::ascii_isxdigit(c); });
  expect(hex, "part.sha256", "must be 64 hex digits");
  const std::string folder =
      CheckpointFolder(request.step(), request.generation());
  expect(request.folder() == folder, "folder",
         absl::StrCat("must be ", folder));
  expect(request.sample_digest().size() == 32, "sample_digest",
         "must be 32 bytes");
  return FieldErrors(std::move(wrong));
}

absl::Status CheckAgainst(const CommitCheckpointRequest& request,
                          const PendingCheckpoint& pending) {
  const CheckpointPart& part = request.part();
  const auto known = pending.parts.find(part.index());
  if (known != pending.parts.end() &&
      (known->second.sha256() != part.sha256() ||
       known->second.size_bytes() != part.size_bytes())) {
    return FieldErrors({{"part", absl::StrCat("part ", part.index(),
                                              " was reported before with "
                                              "another content")}});
  }
  if (pending.sample_digest != request.sample_digest()) {
    return FieldErrors(
        {{"sample_digest", "other ranks reported another chain of samples"}});
  }
  return absl::OkStatus();
}

// Whether a newer generation has written this checkpoint, or trains its last
// steps again: then the one reported is no part of the job's history.
bool IsOvertaken(const JobState& job, const CommitCheckpointRequest& request) {
  const auto known = job.checkpoints.find(request.step());
  if (known != job.checkpoints.end() &&
      known->second.generation() > request.generation()) {
    return true;
  }
  return job.started.number > request.generation() &&
         job.started.start_step < request.step();
}

}  // namespace

absl::Duration YoungInterval(absl::Duration cost,
                             absl::Duration mean_time_to_failure) {
  const double seconds = std::sqrt(2 * absl::ToDoubleSeconds(cost) *
                                   absl::ToDoubleSeconds(mean_time_to_failure));
  return std::max(absl::Seconds(seconds), 10 * cost);
}

CheckpointDecision PlanCheckpoint(absl::Time now, int64_t applied_step,
                                  const CheckpointHistory& history,
                                  const CheckpointPolicy& policy) {
  const int64_t steps = applied_step - history.last_step;
  const absl::Duration age = now - history.last_time;
  if (steps <= 0) {
    return NotNow(absl::StrCat("nothing new since step ", history.last_step));
  }
  if (policy.every_steps && steps >= *policy.every_steps) {
    return Take(absl::StrCat(steps, " steps since the last, every ",
                             *policy.every_steps, " asked for"));
  }
  if (policy.every && age >= *policy.every) {
    return Take(
        absl::StrCat(absl::FormatDuration(age), " since the last, every ",
                     absl::FormatDuration(*policy.every), " asked for"));
  }
  if (policy.every_steps || policy.every) return NotNow("not due yet");

  const absl::Duration interval =
      YoungInterval(history.cost, history.mean_time_to_failure);
  const std::string because =
      absl::StrCat(absl::FormatDuration(interval), " suits a cost of ",
                   absl::FormatDuration(history.cost), " and a failure every ",
                   absl::FormatDuration(history.mean_time_to_failure));
  return age >= interval ? Take(because) : NotNow(because);
}

CheckpointDecision PlanCheckpointOrder(const View& view, const JobState& job) {
  const JobRun* run = view.sessions.FindRun(job.name);
  if (job.state != Job::RUNNING || run == nullptr || IsStopping(view, job)) {
    return NotNow("nothing runs");
  }
  CheckpointPolicy policy;
  const lory::v1::CheckpointSpec& spec = job.spec.checkpoint();
  if (spec.has_every()) {
    policy.every = absl::Seconds(spec.every().seconds()) +
                   absl::Nanoseconds(spec.every().nanos());
  } else if (spec.every_steps() > 0) {
    return NotNow("by steps alone");
  }
  // Half a second and one failure an hour, until something was measured.
  double stall = 0;
  for (const SlotKey& key : job.started.members) {
    const auto* status = view.sessions.FindTrainer(key, job.name);
    if (status == nullptr) continue;
    stall = std::max(stall, status->checkpoint_stall_seconds());
  }
  const absl::Duration age = view.now - view.sessions.started;
  const CheckpointHistory history{
      .last_step = run->last_checkpoint_step,
      .last_time = run->last_checkpoint,
      .cost = stall > 0 ? absl::Seconds(stall) : absl::Milliseconds(500),
      .mean_time_to_failure =
          (age + absl::Hours(1)) / (job.recovery_count + 1)};
  return PlanCheckpoint(view.now, run->highest_step, history, policy);
}

std::optional<UnreadableCheckpoint> FindUnreadable(const View& view,
                                                   const JobState& job) {
  if (!job.generation.Is(GenerationState::Phase::kStarted)) return {};
  const auto found = job.checkpoints.find(job.started.restored_checkpoint_step);
  // Written again since by the generation itself: another one.
  if (found == job.checkpoints.end() ||
      found->second.generation() >= job.started.number) {
    return {};
  }
  const Checkpoint& checkpoint = found->second;
  for (const SlotKey& key : job.started.members) {
    const auto* status = view.sessions.FindTrainer(key, job.name);
    if (status == nullptr || status->generation() != job.started.number ||
        status->unreadable_checkpoint() != checkpoint.name()) {
      continue;
    }
    return UnreadableCheckpoint{checkpoint.name(), key, status->error()};
  }
  return {};
}

absl::StatusOr<PartDecision> PlanPart(const View& view,
                                      const CommitCheckpointRequest& request) {
  const JobState* job = view.state.FindJob(request.job());
  if (job == nullptr) {
    return ErrorWithReason(absl::StatusCode::kNotFound, "JOB_NOT_FOUND",
                           absl::StrCat("no job ", request.job()));
  }
  LORY_RETURN_IF_ERROR(CheckShape(request));
  PartDecision decision;
  const auto known = job->checkpoints.find(request.step());
  if (known != job->checkpoints.end() &&
      known->second.generation() == request.generation()) {
    decision.checkpoint = known->second;
    return decision;
  }
  const auto pending = view.sessions.pending.find(
      {request.job(), request.step(), request.generation()});
  const bool complete = pending != view.sessions.pending.end() &&
                        pending->second.parts.size() ==
                            static_cast<size_t>(request.part().count());
  const bool current = job->generation.number == request.generation() &&
                       job->generation.Is(GenerationState::Phase::kStarted);
  if (!current && (!complete || IsOvertaken(*job, request))) {
    return ErrorWithReason(
        absl::StatusCode::kFailedPrecondition, "GENERATION_FENCED",
        absl::StrCat("generation ", request.generation(), " of ", job->name,
                     " has ended; the newest is ", job->generation.number,
                     ": delete the part"));
  }
  if (current &&
      request.part().count() != static_cast<int>(job->started.members.size())) {
    return FieldErrors(
        {{"part.count", absl::StrCat("the generation has ",
                                     job->started.members.size(), " ranks")}});
  }
  if (current && (request.step() < job->started.start_step ||
                  request.step() > job->spec.step_count())) {
    return FieldErrors({{"step", absl::StrCat("the generation trains steps ",
                                              job->started.start_step, " to ",
                                              job->spec.step_count())}});
  }
  if (pending != view.sessions.pending.end()) {
    LORY_RETURN_IF_ERROR(CheckAgainst(request, pending->second));
  }
  decision.kind = PartDecision::Kind::kCollect;
  return decision;
}

Plan CheckpointFailure(const JobState& job,
                       const lory::v1::FailedCheckpoint& failed,
                       bool tried_again) {
  Plan plan;
  if (std::pair(failed.generation(), failed.step()) <= job.failed_checkpoint) {
    return plan;
  }
  plan.reason =
      absl::StrCat("the checkpoint of step ", failed.step(),
                   tried_again ? " could not be written yet, and is tried "
                                 "again: "
                               : " could not be written: ",
                   failed.error());
  lory::internal::v1::JournalRecord record;
  record.mutable_job_event_added()->set_job(job.name);
  auto* event = record.mutable_job_event_added()->mutable_event();
  event->set_kind(lory::v1::JobEvent::CHECKPOINT_FAILED);
  event->set_generation(failed.generation());
  event->set_step(failed.step());
  event->set_message(plan.reason);
  plan.events.push_back(std::move(record));
  return plan;
}

Plan PlanCheckpointFailure(const View& view, const JobState& job) {
  lory::v1::FailedCheckpoint newest;
  for (const SlotKey& key : job.started.members) {
    const auto* status = view.sessions.FindTrainer(key, job.name);
    if (status == nullptr || !status->has_failed_checkpoint()) continue;
    const lory::v1::FailedCheckpoint& failed = status->failed_checkpoint();
    // Of the job that had the name before: none of this one's.
    if (failed.generation() <= job.generations_before) continue;
    if (std::pair(failed.generation(), failed.step()) >
        std::pair(newest.generation(), newest.step())) {
      newest = failed;
      newest.set_error(absl::StrCat(ToString(key), ": ", failed.error()));
    }
  }
  if (newest.generation() == 0) return {};
  // What ends the job, or its stay in its slots, is not given up.
  const bool is_last =
      newest.step() == job.spec.step_count() ||
      (IsStopping(view, job) && newest.generation() == job.started.number);
  return CheckpointFailure(job, newest, is_last);
}

}  // namespace lory::coordinator
