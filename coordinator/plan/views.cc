#include "coordinator/plan/views.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/plan/member_health.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobMember;
using ::lory::v1::JobProgress;
using ::lory::v1::TrainerStatus;
using ::lory::v1::Worker;

void FillMembers(const View& view, const JobState& job, Job& out) {
  const JobRun* run = view.sessions.FindRun(job.name);
  const bool round_fits = run != nullptr &&
                          run->started == job.started.number &&
                          job.generation.number == job.started.number;
  for (size_t rank = 0; rank < job.generation.members.size(); ++rank) {
    const SlotKey& key = job.generation.members[rank];
    JobMember* member = out.add_members();
    member->set_rank(static_cast<int>(rank));
    member->set_worker(key.worker);
    member->set_slot(key.slot);
    if (round_fits && static_cast<int>(rank) < run->round.shares_size()) {
      member->set_micro_batch_count(run->round.shares(static_cast<int>(rank)));
    }
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    member->set_applied_step(status == nullptr ? -1 : status->applied_step());
    if (status != nullptr) {
      member->set_step_seconds(status->micro_batch_seconds() *
                               member->micro_batch_count());
    }
  }
}

// What a member complains of while it goes on, such as a disk that is full for
// its checkpoints; empty: nothing.
std::string Complaint(const View& view, const JobState& job) {
  for (const SlotKey& key : job.started.members) {
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    if (status == nullptr || status->error().empty()) continue;
    if (status->phase() != TrainerStatus::TRAINING &&
        status->phase() != TrainerStatus::WAITING) {
      continue;
    }
    return absl::StrCat("; ", key.worker, " slot ", key.slot, ": ",
                        status->error());
  }
  return "";
}

// Tokens of the whole job, over the time from its first generation to its end
// in which it held slots, whether they trained or not.
double MeanTokensPerSecond(const JobState& job) {
  if (!job.start_time || !job.end_time) return 0;
  const double seconds =
      absl::ToDoubleSeconds(*job.end_time - *job.start_time - job.idle_time);
  const lory::v1::JobSpec& spec = job.spec;
  const double tokens =
      static_cast<double>(spec.step_count()) * spec.micro_batch_count() *
      spec.micro_batch_sequences() * spec.model().sequence_length();
  return seconds > 0 ? tokens / seconds : 0;
}

void FillProgress(const View& view, const JobState& job, Job& out) {
  const JobRun* run = view.sessions.FindRun(job.name);
  JobProgress* progress = out.mutable_progress();
  const bool heard = run != nullptr && (run->progress.step() > 0 ||
                                        run->progress.has_evaluation());
  if (heard) {
    *progress = run->progress;
  } else if (!HoldsSlots(job.state)) {
    *progress = job.progress;
  }
  progress->set_step_count(job.spec.step_count());
  const lory::v1::Checkpoint* newest = job.NewestCheckpoint();
  int64_t step = newest == nullptr ? 0 : newest->step();
  if (run != nullptr &&
      (HoldsSlots(job.state) || job.state == Job::CANCELLING)) {
    step = std::max({step, run->highest_step, job.started.start_step});
  } else if (IsFinal(job.state)) {
    // How far it came, saved or not: nothing is trained again any more.
    step = std::max(step, progress->step());
  }
  progress->set_step(std::max<int64_t>(step, 0));
  if (job.evaluation &&
      (!progress->has_evaluation() ||
       progress->evaluation().step() < job.evaluation->step())) {
    *progress->mutable_evaluation() = *job.evaluation;
  }
  const double seconds = progress->step_times().total_seconds();
  progress->clear_remaining_time();
  if (job.state == Job::SUCCEEDED) {
    progress->set_tokens_per_second(MeanTokensPerSecond(job));
  } else if (job.state != Job::RUNNING) {
    progress->clear_tokens_per_second();
  } else if (seconds > 0) {
    progress->mutable_remaining_time()->set_seconds(static_cast<int64_t>(
        seconds *
        static_cast<double>(job.spec.step_count() - progress->step())));
  }
}

// Slots that a job holds, or whose trainer is still being ended.
int HeldSlots(const View& view, const WorkerSession& session) {
  std::set<int32_t> slots;
  for (auto it = view.sessions.leases.lower_bound({session.name, 0});
       it != view.sessions.leases.end() && it->first.worker == session.name;
       ++it) {
    slots.insert(it->first.slot);
  }
  for (const auto& [slot, status] : session.trainers) slots.insert(slot);
  return static_cast<int>(slots.size());
}

void FillWorkerState(const View& view, const WorkerSession* session,
                     bool drains, Worker& out) {
  if (session == nullptr) {
    out.set_state(Worker::LOST);
    out.set_reason("has not attended since the coordinator began");
    return;
  }
  const absl::Duration silence = view.now - session->last_heard;
  if (WorkerLost(view, session->name)) {
    out.set_state(Worker::LOST);
    out.set_reason(absl::StrCat(session->broken_reason,
                                "; nothing was heard of it for ",
                                ShortDuration(silence)));
    return;
  }
  const int held = HeldSlots(view, *session);
  if (drains) {
    out.set_state(held == 0 ? Worker::DRAINED : Worker::DRAINING);
    out.set_reason(
        held == 0
            ? "drained on request"
            : absl::StrCat(held, held == 1 ? " trainer has" : " trainers have",
                           " to leave yet"));
    return;
  }
  out.set_state(Worker::READY);
  out.set_reason(
      session->stream_open
          ? absl::StrCat(held, " of ", session->description.slot_count(),
                         " slots are held")
          : absl::StrCat("its stream is broken (", session->broken_reason,
                         "); waits for it to come back"));
}

// What trains in a job that runs. The journal's reason is of the moment it
// began to, and may be many generations old.
std::string RunningReason(const JobState& job) {
  std::string reason = WhoRuns(job);
  if (job.generation.Is(GenerationState::Phase::kOpened)) {
    absl::StrAppend(&reason, "; generation ", job.generation.number,
                    " is prepared: ", job.generation.reason);
  }
  return reason;
}

}  // namespace

Job BuildJob(const View& view, const JobState& job,
             const std::string& live_reason) {
  Job out;
  out.set_name(job.name);
  *out.mutable_spec() = job.spec;
  if (job.initial_checkpoint) {
    *out.mutable_initial_checkpoint() = *job.initial_checkpoint;
  }
  out.set_state(job.state);
  const bool waits = job.state == Job::QUEUED || job.state == Job::STARTING ||
                     job.state == Job::RECOVERING;
  const bool trains = job.state == Job::RUNNING && job.started.number > 0;
  out.set_reason(trains                          ? RunningReason(job)
                 : waits && !live_reason.empty() ? live_reason
                                                 : job.reason);
  // Not that of a deleted job of the same name.
  if (!job.generation.Is(GenerationState::Phase::kNone)) {
    out.set_generation(job.generation.number);
  }
  if (HoldsSlots(job.state)) {
    if (!job.slots_let_go) FillMembers(view, job, out);
    out.mutable_reason()->append(Complaint(view, job));
  }
  FillProgress(view, job, out);
  const lory::v1::Checkpoint* newest = job.NewestCheckpoint();
  out.set_checkpoint_step(newest == nullptr ? -1 : newest->step());
  out.set_recovery_count(job.recovery_count);
  *out.mutable_create_time() = TimestampOf(job.create_time);
  if (job.start_time) *out.mutable_start_time() = TimestampOf(*job.start_time);
  if (job.end_time) *out.mutable_end_time() = TimestampOf(*job.end_time);
  return out;
}

Worker BuildWorker(const View& view, const std::string& name) {
  Worker out;
  out.set_name(name);
  const WorkerSession* session = view.sessions.FindWorker(name);
  FillWorkerState(view, session, view.state.draining_workers.count(name) > 0,
                  out);
  if (session == nullptr) return out;
  *out.mutable_description() = session->description;
  for (const auto& [slot, status] : session->trainers) {
    *out.add_trainers() = status;
  }
  *out.mutable_last_heard_time() = TimestampOf(session->last_heard_wall);
  return out;
}

}  // namespace lory::coordinator
