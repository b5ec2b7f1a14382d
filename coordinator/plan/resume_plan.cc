#include "coordinator/plan/resume_plan.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "coordinator/plan/records.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::Job;

absl::Status CheckState(const JobState& job) {
  switch (job.state) {
    case Job::PAUSED:
      return absl::OkStatus();
    case Job::FAILED:
      if (!job.error_is_of_job) return absl::OkStatus();
      // From the same checkpoint, with the same spec and samples.
      return ErrorWithReason(
          absl::StatusCode::kFailedPrecondition, "FAULT_OF_JOB",
          absl::StrCat(job.name,
                       " failed of what it computes, and would again; submit "
                       "another with ",
                       job.NewestCheckpoint() == nullptr
                           ? ""
                           : "`init_from` one of its checkpoints and ",
                       "the cause mended: ", job.reason));
    case Job::CANCELLED:
      if (job.NewestCheckpoint() != nullptr) return absl::OkStatus();
      return ErrorWithReason(
          absl::StatusCode::kFailedPrecondition, "JOB_STATE",
          absl::StrCat(job.name,
                       " is CANCELLED and has no checkpoint to go on from; "
                       "submit it anew"));
    default:
      return ErrorWithReason(
          absl::StatusCode::kFailedPrecondition, "JOB_STATE",
          absl::StrCat(job.name, " is ", Job::State_Name(job.state),
                       "; only a job that is PAUSED, FAILED or CANCELLED can "
                       "be resumed"));
  }
}

// While a job has ended, anybody may delete its dataset, and give the name to
// another.
absl::Status CheckDataset(const CoordinatorState& state, const JobState& job) {
  const auto found = state.datasets.find(job.spec.dataset());
  const bool is_there = found != state.datasets.end();
  if (is_there && found->second.manifest_sha256() == job.dataset_sha256) {
    return absl::OkStatus();
  }
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, "DATASET_CHANGED",
      absl::StrCat(job.spec.dataset(),
                   is_there ? " has other contents now than those that "
                            : " is not registered any more, which ",
                   job.name, " trains on; register the manifest of SHA-256 ",
                   job.dataset_sha256, " under that name"));
}

// The same for what it begins from, where it has nothing of its own yet.
absl::Status CheckInitial(const CoordinatorState& state, const JobState& job) {
  if (job.NewestCheckpoint() != nullptr || !job.initial_checkpoint) {
    return absl::OkStatus();
  }
  const Checkpoint& initial = *job.initial_checkpoint;
  const auto name = ParseCheckpointName(initial.name());
  if (!name) return absl::OkStatus();  // a folder that is no job's
  if (const JobState* of = state.FindJob(name->job)) {
    const auto found = of->checkpoints.find(name->step);
    if (found != of->checkpoints.end() &&
        found->second.state() == Checkpoint::COMMITTED &&
        found->second.generation() == initial.generation()) {
      return absl::OkStatus();
    }
  }
  return ErrorWithReason(absl::StatusCode::kFailedPrecondition,
                         "NO_SUCH_CHECKPOINT",
                         absl::StrCat(initial.name(), ", which ", job.name,
                                      " begins from, is gone; submit it anew "
                                      "with another `init_from`"));
}

std::string WhereFrom(const JobState& job) {
  if (const Checkpoint* newest = job.NewestCheckpoint()) {
    return absl::StrCat("goes on from the checkpoint of step ", newest->step());
  }
  return job.initial_checkpoint
             ? absl::StrCat("begins anew from ", job.spec.init_from())
             : "begins anew";
}

}  // namespace

absl::StatusOr<Plan> PlanResume(const CoordinatorState& state,
                                const JobState& job) {
  LORY_RETURN_IF_ERROR(CheckState(job));
  Plan plan;
  plan.reason = "resumed on request";
  if (job.state != Job::PAUSED) {
    LORY_RETURN_IF_ERROR(CheckDataset(state, job));
    LORY_RETURN_IF_ERROR(CheckInitial(state, job));
    absl::StrAppend(&plan.reason, ": ", WhereFrom(job), "; it was ",
                    Job::State_Name(job.state), ": ", job.reason);
  }
  plan.events.push_back(StateChange(job.name, Job::QUEUED, plan.reason));
  return plan;
}

std::string ExplainResume(const CoordinatorState& state, const JobState& job) {
  if (job.state != Job::FAILED && job.state != Job::CANCELLED) return "";
  const absl::StatusOr<Plan> plan = PlanResume(state, job);
  if (!plan.ok()) {
    return absl::StrCat("It cannot be resumed: ", plan.status().message(), ".");
  }
  return absl::StrCat("With `loryctl job resume ", IdOf(job.name), "` it ",
                      WhereFrom(job), ".");
}

}  // namespace lory::coordinator
