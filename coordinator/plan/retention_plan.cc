#include "coordinator/plan/retention_plan.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "coordinator/state/job_state.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Checkpoint;

constexpr int kDefaultKeepCount = 3;

// A generation that restored a checkpoint may have to do so again until it
// wrote one itself.
bool IsNeeded(const JobState& job, const Checkpoint& checkpoint) {
  const Checkpoint* newest = job.NewestCheckpoint();
  if (newest == &checkpoint) return true;
  return !IsFinal(job.state) &&
         job.started.restored_checkpoint_step == checkpoint.step() &&
         (newest == nullptr || newest->generation() < job.started.number);
}

absl::Status InUse(const Checkpoint& checkpoint, const JobState& beginner) {
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, "CHECKPOINT_IN_USE",
      absl::StrCat(beginner.name, " begins from ", checkpoint.name(),
                   " and has not two checkpoints of its own yet; cancel it, or "
                   "wait for them"));
}

}  // namespace

Plan PlanRetention(const CoordinatorState& state, const JobState& job) {
  Plan plan;
  const int keep = job.spec.checkpoint().keep_count() > 0
                       ? job.spec.checkpoint().keep_count()
                       : kDefaultKeepCount;
  int committed = 0;
  for (auto it = job.checkpoints.rbegin(); it != job.checkpoints.rend(); ++it) {
    const Checkpoint& checkpoint = it->second;
    const bool is_committed = checkpoint.state() == Checkpoint::COMMITTED;
    if (is_committed) ++committed;
    if (!is_committed && checkpoint.state() != Checkpoint::DAMAGED) continue;
    const bool too_old = is_committed ? committed > keep : committed >= keep;
    if (!too_old || IsNeeded(job, checkpoint)) continue;
    if (state.FindBeginner(checkpoint.name()) != nullptr) continue;
    lory::internal::v1::JournalRecord record;
    auto* event = record.mutable_checkpoint_state_changed();
    event->set_name(checkpoint.name());
    event->set_state(Checkpoint::DELETED);
    event->set_reason(absl::StrCat("the newest ", keep, " are kept"));
    plan.reason = event->reason();
    plan.events.push_back(std::move(record));
  }
  return plan;
}

absl::Status CheckDeletable(const CoordinatorState& state, const JobState& job,
                            int64_t step) {
  const auto found = job.checkpoints.find(step);
  if (found == job.checkpoints.end()) return absl::OkStatus();
  const JobState* beginner = state.FindBeginner(found->second.name());
  if (beginner != nullptr) return InUse(found->second, *beginner);
  if (!IsNeeded(job, found->second)) return absl::OkStatus();
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, "LAST_CHECKPOINT",
      absl::StrCat(found->second.name(),
                   " is what the job would be resumed from; delete the job "
                   "to delete it"));
}

absl::Status CheckNoneBegins(const CoordinatorState& state,
                             const JobState& job) {
  for (const auto& [step, checkpoint] : job.checkpoints) {
    const JobState* beginner = state.FindBeginner(checkpoint.name());
    if (beginner != nullptr) return InUse(checkpoint, *beginner);
  }
  return absl::OkStatus();
}

}  // namespace lory::coordinator
