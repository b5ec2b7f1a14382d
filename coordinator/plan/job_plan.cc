#include "coordinator/plan/job_plan.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/plan/member_health.h"
#include "coordinator/plan/records.h"
#include "coordinator/plan/rendezvous_plan.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"
#include "coordinator/state/stable_bytes.h"

namespace lory::coordinator {
namespace {

using ::lory::internal::v1::GenerationEnded;
using ::lory::v1::Job;
using ::lory::v1::TrainerStatus;
using Phase = GenerationState::Phase;

// The new state; a generation that lives ends first.
Plan Go(const JobState& job, Job::State state, std::string reason,
        GenerationEnded::Cause cause = GenerationEnded::CAUSE_UNSPECIFIED) {
  Plan plan;
  plan.reason = reason;
  if (state != Job::RUNNING && state != Job::RECOVERING &&
      job.generation.live()) {
    plan.events.push_back(EndGeneration(job, cause, reason));
  }
  plan.events.push_back(StateChange(job.name, state, std::move(reason)));
  return plan;
}

bool Ended(const TrainerStatus& status) {
  return status.phase() == TrainerStatus::STOPPED ||
         status.phase() == TrainerStatus::FINISHED;
}

// Whether every member of the started generation that still lives has stopped
// or finished, and at which step; -1: not so.
int64_t StoppedAt(const View& view, const JobState& job) {
  int64_t step = -1;
  for (const SlotKey& key : job.started.members) {
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    if (status == nullptr || HasEnded(*status)) continue;
    if (status->generation() != job.started.number || !Ended(*status)) {
      return -1;
    }
    step = std::max(step, status->applied_step());
  }
  return step;
}

// Above step `above`.
bool AnyStateHeld(const View& view, const JobState& job, int64_t above = -1) {
  for (const SlotKey& key : view.sessions.LeasesOf(job.name)) {
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    const WorkerSession* worker = view.sessions.FindWorker(key.worker);
    if (worker == nullptr || !worker->reported) {
      if (!WorkerLost(view, key.worker)) return true;  // it may come back
      continue;
    }
    if (status != nullptr && status->applied_step() > above) return true;
  }
  return false;
}

bool TrainersRemain(const View& view, const JobState& job) {
  for (const auto& [name, worker] : view.sessions.workers) {
    if (WorkerLost(view, name)) continue;
    for (const auto& [slot, status] : worker.trainers) {
      if (status.job() == job.name) return true;
    }
  }
  // After a restart daemons need a moment to say what they still run.
  return view.now - view.sessions.started < view.options.lease &&
         job.started.number > 0 &&
         std::any_of(job.started.members.begin(), job.started.members.end(),
                     [&](const SlotKey& key) {
                       const WorkerSession* worker =
                           view.sessions.FindWorker(key.worker);
                       return worker == nullptr || !worker->reported;
                     });
}

// A member has applied a step in the newest generation, or has none to apply.
bool HasProgress(const View& view, const JobState& job) {
  for (const SlotKey& key : job.started.members) {
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    if (status == nullptr || status->generation() != job.started.number) {
      continue;
    }
    const bool training = status->phase() == TrainerStatus::TRAINING ||
                          status->phase() == TrainerStatus::WAITING;
    if (training && (status->applied_step() > job.started.start_step ||
                     IsEvaluation(job.spec))) {
      return true;
    }
    if (Ended(*status)) return true;
  }
  return false;
}

// The step that is saved; -1: none.
int64_t SavedStep(const JobState& job) {
  const lory::v1::Checkpoint* newest = job.NewestCheckpoint();
  return newest == nullptr ? -1 : newest->step();
}

// No member of the started generation holds more than is saved, and none will:
// each gave up or is gone, as where the checkpoint cannot be read.
bool NobodyCameUp(const View& view, const JobState& job) {
  for (const SlotKey& key : job.started.members) {
    const WorkerSession* worker = view.sessions.FindWorker(key.worker);
    if (worker == nullptr || !worker->reported) return false;
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    if (status == nullptr || HasEnded(*status)) continue;
    if (status->phase() != TrainerStatus::BROKEN ||
        status->applied_step() > SavedStep(job)) {
      return false;
    }
  }
  return true;
}

Plan PlanStop(const View& view, const JobState& job, const JobRun& run) {
  const bool pausing = job.state == Job::PAUSING;
  const Job::State next = pausing ? Job::PAUSED : Job::QUEUED;
  if (IsEvaluation(job.spec)) {  // there is no state to save
    return Go(job, next, pausing ? "paused on request" : run.evicted);
  }
  if (job.generation.Is(Phase::kStarted) && !NobodyCameUp(view, job)) {
    const int64_t step = StoppedAt(view, job);
    const lory::v1::Checkpoint* newest = job.NewestCheckpoint();
    if (step >= 0 && newest != nullptr && newest->step() >= step) {
      return Go(job, next,
                absl::StrCat(pausing ? "paused on request" : run.evicted,
                             "; resumes at step ", newest->step()));
    }
    return {};
  }
  if (AnyStateHeld(view, job, SavedStep(job))) return {};
  return Go(job, next,
            pausing ? "paused on request; no trainer held a newer state"
                    : run.evicted);
}

// Over all domains but those kept out of training, unless there is no other.
double PerplexityOf(const lory::v1::Evaluation& evaluation) {
  return evaluation.has_overall() ? evaluation.overall().perplexity()
                                  : evaluation.kept_out().perplexity();
}

// What the job was for is done and durable.
bool HasResult(const JobState& job) {
  if (IsEvaluation(job.spec)) return job.evaluation.has_value();
  const lory::v1::Checkpoint* newest = job.NewestCheckpoint();
  return newest != nullptr && newest->step() == job.spec.step_count();
}

std::string ResultOf(const JobState& job) {
  if (IsEvaluation(job.spec)) {
    return absl::StrFormat("held-out perplexity %.4g",
                           PerplexityOf(*job.evaluation));
  }
  return absl::StrCat("all ", job.spec.step_count(),
                      " steps are applied and checkpointed");
}

Plan PlanTraining(const View& view, const JobState& job) {
  if (HasResult(job) &&
      !(job.generation.Is(Phase::kStarted) && StoppedAt(view, job) < 0 &&
        AnyStateHeld(view, job))) {
    // By way of RUNNING, where a job of few steps was never seen.
    if (job.state == Job::STARTING) {
      return Go(job, Job::RUNNING, "the last step is applied");
    }
    return Go(job, Job::SUCCEEDED, ResultOf(job));
  }
  if (job.state == Job::PAUSING) return {};  // the last step is being saved
  const bool started = job.generation.Is(Phase::kStarted);
  if (job.state != Job::RUNNING && started && HasProgress(view, job)) {
    return Go(job, Job::RUNNING, WhoRuns(job));
  }
  const bool broken =
      job.generation.Is(Phase::kEnded) && job.generation.ended_by_fault;
  const bool was_started = job.generation.number == job.started.number;
  if (broken && (job.state == Job::RUNNING ||
                 (job.state == Job::STARTING && was_started))) {
    std::string why = "a member was lost";
    if (!job.events.empty()) why = job.events.back().message();
    return Go(job, Job::RECOVERING, why);
  }
  return {};
}

bool IsNew(const JobState& job, const lory::v1::Evaluation& evaluation) {
  if (!job.evaluation || evaluation.step() > job.evaluation->step())
    return true;
  // Of steps that were taken back and are trained again; a trainer may still
  // report the one before them.
  return evaluation.step() > job.started.start_step &&
         StableBytes(evaluation) != StableBytes(*job.evaluation);
}

}  // namespace

Plan PlanJob(const View& view, const JobState& job) {
  if (job.state == Job::CANCELLING) {
    if (TrainersRemain(view, job)) return {};
    return Go(job, Job::CANCELLED, "cancelled on request");
  }
  if (!HoldsSlots(job.state)) return {};
  const JobRun* run = view.sessions.FindRun(job.name);
  if (run == nullptr) return {};
  if (!run->permanent_error.empty()) {
    Plan plan =
        Go(job, Job::FAILED, run->permanent_error, GenerationEnded::EXIT);
    plan.events.back().mutable_job_state_changed()->set_error_is_of_job(
        run->error_is_of_job);
    return plan;
  }
  if (run->exits_without_progress >= view.options.exit_limit) {
    return Go(job, Job::FAILED,
              absl::StrCat("its trainers ended ", run->exits_without_progress,
                           " times without a new step in between; the last: ",
                           run->last_error),
              GenerationEnded::EXIT);
  }
  if (job.state == Job::PAUSING && job.NewestCheckpoint() != nullptr &&
      job.NewestCheckpoint()->step() == job.spec.step_count()) {
    return PlanTraining(view, job);
  }
  if (IsStopping(view, job)) return PlanStop(view, job, *run);
  return PlanTraining(view, job);
}

Plan PlanEvaluation(const View& view, const JobState& job) {
  const JobRun* run = view.sessions.FindRun(job.name);
  if (run == nullptr || !run->progress.has_evaluation()) return {};
  const lory::v1::Evaluation& evaluation = run->progress.evaluation();
  if (evaluation.domains().empty() || !IsNew(job, evaluation)) return {};
  Plan plan;
  lory::internal::v1::JournalRecord record;
  auto* added = record.mutable_job_event_added();
  added->set_job(job.name);
  *added->mutable_evaluation() = evaluation;
  auto* event = added->mutable_event();
  event->set_kind(lory::v1::JobEvent::EVALUATED);
  event->set_generation(job.started.number);
  event->set_step(evaluation.step());
  event->set_message(
      absl::StrFormat("held-out perplexity %.4g", PerplexityOf(evaluation)));
  if (!IsEvaluation(job.spec)) {
    absl::StrAppend(event->mutable_message(), " after step ",
                    evaluation.step());
  }
  for (const auto& domain : evaluation.domains()) {
    (*event->mutable_attributes())[domain.domain()] =
        absl::StrFormat("%.6g", domain.perplexity());
  }
  plan.events.push_back(std::move(record));
  return plan;
}

Plan PlanBarred(const View& view, const JobState& job) {
  const JobRun* run = view.sessions.FindRun(job.name);
  Plan plan;
  if (run == nullptr) return plan;
  for (const auto& [key, bar] : run->barred) {
    if (bar.told) continue;
    plan.reason = absl::StrCat(
        ToString(key), " is not used for this job ",
        bar.for_good ? "until its daemon is started again: the job failed "
                       "there and nowhere else: "
                     : "for some minutes: no trainer of it starts there: ",
        bar.error);
    lory::internal::v1::JournalRecord record;
    record.mutable_job_event_added()->set_job(job.name);
    auto* event = record.mutable_job_event_added()->mutable_event();
    event->set_kind(lory::v1::JobEvent::SLOT_BARRED);
    event->set_generation(job.generation.number);
    event->set_step(-1);
    event->set_message(plan.reason);
    if (bar.end != absl::InfiniteFuture()) {
      (*event->mutable_attributes())["seconds"] =
          absl::StrCat(absl::ToInt64Seconds(bar.end - view.now));
    }
    plan.events.push_back(std::move(record));
    return plan;
  }
  return plan;
}

std::string EvictionByDrain(const View& view, const JobState& job,
                            int replacements) {
  std::string drains;
  int staying = replacements;
  for (const SlotKey& key : view.sessions.LeasesOf(job.name)) {
    if (view.state.draining_workers.count(key.worker) > 0) {
      drains = absl::StrCat(key.worker, " drains");
    } else {
      ++staying;
    }
  }
  const bool enough = staying >= job.spec.min_workers();
  return drains.empty() || enough
             ? ""
             : absl::StrCat(drains, " and only ", staying, " of at least ",
                            job.spec.min_workers(), " trainers would stay");
}

}  // namespace lory::coordinator
