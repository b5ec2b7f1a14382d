#include "coordinator/engine/coordinator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/error_detail.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "coordinator/engine/record_log.h"
#include "coordinator/plan/checkpoint_plan.h"
#include "coordinator/plan/desired_state.h"
#include "coordinator/plan/job_plan.h"
#include "coordinator/plan/records.h"
#include "coordinator/plan/rendezvous_plan.h"
#include "coordinator/plan/retention_plan.h"
#include "coordinator/plan/round_plan.h"
#include "coordinator/plan/schedule_plan.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"
#include "coordinator/state/stable_bytes.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::Job;
using Record = Journal::Record;

// Every decision makes some progress; more in a row than this is a mistake.
constexpr int kMaxDecisions = 1000;
constexpr size_t kMaxLossPoints = 400;
// Workers that are gone are shown for a while.
constexpr absl::Duration kForgetWorkers = absl::Hours(1);

bool IsComplete(const PendingCheckpoint& pending) {
  return !pending.parts.empty() && static_cast<int>(pending.parts.size()) ==
                                       pending.parts.begin()->second.count();
}

}  // namespace

Coordinator::Coordinator(Options options, Journal& journal, Clock& clock,
                         io::Storage& storage, EngineObserver* observer)
    : options_(std::move(options)),
      journal_(journal),
      clock_(clock),
      storage_(storage),
      observer_(observer) {}

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Create(
    Options options, Journal& journal, Clock& clock, io::Storage& storage,
    EngineObserver* observer) {
  LORY_RETURN_IF_ERROR(CheckPlanOptions(options.plan));
  auto coordinator = std::unique_ptr<Coordinator>(
      new Coordinator(std::move(options), journal, clock, storage, observer));
  LORY_RETURN_IF_ERROR(coordinator->Replay());
  return coordinator;
}

absl::Status Coordinator::Replay() {
  MutexLock lock(&mutex_);
  std::set<std::string> deleted_jobs;
  LORY_RETURN_IF_ERROR(
      journal_.Replay([&](int64_t number, const Record& record) {
        if (record.has_job_deleted()) {
          deleted_jobs.insert(record.job_deleted().job());
        } else if (record.has_job_created()) {
          deleted_jobs.erase(record.job_created().job().name());
        }
        mutex_.AssertHeld();
        return Annotate(state_.Apply(record),
                        absl::StrCat("record ", number, " of the journal"));
      }));
  const absl::Time now = clock_.MonotonicNow();
  sessions_.started = now;
  datasets_looked_at_ = now;
  LeaseMembers(state_, sessions_);
  for (const auto& [name, job] : state_.jobs) {
    if (HoldsSlots(job.state)) AfterStateChange(job);
    // What a crash kept from being deleted.
    QueueStaleFolders(job);
    to_sweep_.insert(name);
    retention_due_.insert(name);
  }
  for (const std::string& name : deleted_jobs) {
    to_delete_.insert(JobFolder(options_.storage_root, name));
  }
  Evaluate();
  return absl::OkStatus();
}

View Coordinator::CurrentView() const {
  return {clock_.MonotonicNow(), state_, sessions_, options_.plan};
}

absl::Status Coordinator::Commit(std::vector<Record> records) {
  if (records.empty()) return absl::OkStatus();
  const absl::Time begin = clock_.MonotonicNow();
  for (Record& record : records) {
    *record.mutable_time() = TimestampOf(clock_.WallNow());
    AddProgress(sessions_, record);
  }
  absl::Status status = journal_.Append(records);
  if (!status.ok()) {
    if (!append_failed_) {
      Log(LogLevel::kError, "journal append failed",
          {{"error", status.message()},
           {"final", journal_.failed() ? "yes" : "no"}});
    }
    append_failed_ = true;
    return ErrorWithReason(status.code(), "JOURNAL_UNAVAILABLE",
                           status.message());
  }
  append_failed_ = false;
  for (const Record& record : records) {
    // A record that cannot be applied is a wrong plan: what is in the journal
    // could never be replayed.
    const absl::Status applied = state_.Apply(record);
    if (!applied.ok()) {
      Log(LogLevel::kError, "a plan broke the state",
          {{"error", applied.message()}});
    }
    LORY_CHECK(applied.ok());
    AfterApply(record);
    LogRecord(record);
  }
  ++change_count_;
  changed_.NotifyAll();
  if (observer_ != nullptr) {
    observer_->Appended(clock_.MonotonicNow() - begin, records);
  }
  return status;
}

void Coordinator::AfterApply(const Record& record) {
  const absl::Time now = clock_.MonotonicNow();
  switch (record.event_case()) {
    case Record::kJobStateChanged: {
      const JobState* job = state_.FindJob(record.job_state_changed().job());
      AfterStateChange(*job);
      RetentionDue(job->name);
      break;
    }
    case Record::kGenerationOpened:
      FollowJob(*state_.FindJob(record.generation_opened().job()), now,
                sessions_);
      break;
    case Record::kGenerationStarted:
      AfterStart(record.generation_started());
      break;
    case Record::kGenerationEnded:
      // The parts that are missing will not be taken any more.
      std::erase_if(sessions_.pending, [&](const auto& pending) {
        return pending.first.job == record.generation_ended().job() &&
               !IsComplete(pending.second);
      });
      break;
    case Record::kCheckpointCommitted: {
      const auto& event = record.checkpoint_committed();
      const int64_t step = event.checkpoint().step();
      JobRun& run = sessions_.runs[event.job()];
      run.last_checkpoint = now;
      run.last_checkpoint_step = std::max(run.last_checkpoint_step, step);
      sessions_.pending.erase(
          {event.job(), step, event.checkpoint().generation()});
      to_sweep_.insert(event.job());
      RetentionDue(event.job());
      break;
    }
    case Record::kCheckpointStateChanged: {
      const auto name =
          ParseCheckpointName(record.checkpoint_state_changed().name());
      QueueStaleFolders(*state_.FindJob(name->job));
      retention_due_.insert(name->job);
      break;
    }
    case Record::kJobDeleted: {
      const std::string& name = record.job_deleted().job();
      sessions_.runs.erase(name);
      std::erase_if(sessions_.pending, [&](const auto& pending) {
        return pending.first.job == name;
      });
      losses_.erase(name);
      sample_orders_.erase(name);
      reasons_.erase(name);
      to_sweep_.erase(name);
      retention_due_.erase(name);
      break;
    }
    default:
      break;
  }
}

void Coordinator::RetentionDue(const std::string& name) {
  const JobState& job = *state_.FindJob(name);
  retention_due_.insert(name);
  if (!job.initial_checkpoint) return;
  // What was kept for this job may not have to be any more.
  const auto held = ParseCheckpointName(job.initial_checkpoint->name());
  if (held && state_.FindJob(held->job) != nullptr) {
    retention_due_.insert(held->job);
  }
}

void Coordinator::AfterStart(
    const lory::internal::v1::GenerationStarted& event) {
  FollowJob(*state_.FindJob(event.job()), clock_.MonotonicNow(), sessions_);
  // Steps that were taken back are due for a checkpoint again.
  JobRun& run = sessions_.runs[event.job()];
  run.last_checkpoint_step =
      std::min(run.last_checkpoint_step, event.start_step());
  // What it trains again is no part of the job's history any more, also
  // when yet another generation has begun above it.
  std::erase_if(sessions_.pending, [&](const auto& pending) {
    return pending.first.job == event.job() &&
           pending.first.step > event.start_step();
  });
  to_sweep_.insert(event.job());
  retention_due_.insert(event.job());
}

void Coordinator::AfterStateChange(const JobState& job) {
  JobRun& run = sessions_.runs[job.name];
  const bool begins = job.state == Job::STARTING || job.state == Job::QUEUED;
  if (HoldsSlots(job.state) && !begins && run.started == job.started.number) {
    return;
  }
  // What is shown of a job stays; what drives it begins anew.
  JobRun fresh;
  fresh.progress = std::move(run.progress);
  fresh.step_seconds = run.step_seconds;
  fresh.checkpoint_order = run.checkpoint_order;
  fresh.last_error = std::move(run.last_error);
  if (job.state != Job::PAUSED && !IsFinal(job.state)) {
    fresh.barred = std::move(run.barred);
    fresh.failed_starts = std::move(run.failed_starts);
  }
  fresh.last_checkpoint = clock_.MonotonicNow();
  const Checkpoint* newest = job.NewestCheckpoint();
  fresh.last_checkpoint_step = newest == nullptr ? 0 : newest->step();
  run = std::move(fresh);
  reasons_.erase(job.name);
}

bool Coordinator::CommitPlan(const Plan& plan) {
  return !plan.events.empty() && Commit(plan.events).ok();
}

bool Coordinator::EvaluateJob(const JobState& job) {
  const View view = CurrentView();
  FollowJob(job, view.now, sessions_);
  // Before the job ends: what came with its end is asked for by nobody then.
  if (CommitPlan(PlanEvaluation(view, job))) return true;
  if (CommitPlan(PlanJob(view, job))) return true;
  RendezvousPlan rendezvous = PlanRendezvous(view, job, SecureRandomHex(16));
  if (CommitPlan(rendezvous)) {
    for (const SlotKey& key : rendezvous.condemned) {
      const auto* status = sessions_.FindTrainer(key, job.name);
      if (status != nullptr) {
        sessions_.condemned[key] = status->incarnation();
      }
      sessions_.leases.erase(key);
    }
    return true;
  }
  if (!rendezvous.reason.empty()) reasons_[job.name] = rendezvous.reason;
  if (CommitPlan(PlanBarred(view, job))) {
    for (auto& [key, bar] : sessions_.runs[job.name].barred) {
      if (!std::exchange(bar.told, true)) break;
    }
    return true;
  }
  if (CommitPlan(PlanCheckpointFailure(view, job))) return true;

  JobRun& run = sessions_.runs[job.name];
  const RoundPlan round = PlanRound(view, job);
  if (round.round) {
    run.round = *round.round;
    Log(LogLevel::kDebug, "round granted",
        {{"job", job.name},
         {"round", run.round.id()},
         {"reason", round.reason}});
    return true;
  }
  const CheckpointDecision order = PlanCheckpointOrder(view, job);
  if (order.take) {
    ++run.checkpoint_order;
    run.last_checkpoint = view.now;
    run.last_checkpoint_step = run.highest_step;
    Log(LogLevel::kInfo, "checkpoint ordered",
        {{"job", job.name},
         {"order", run.checkpoint_order},
         {"reason", order.reason}});
    return true;
  }
  return false;
}

// Of ended and paused jobs too: their last checkpoint makes another too old.
bool Coordinator::EvaluateRetention() {
  Plan all;  // one append: after a start there may be many
  for (auto it = retention_due_.begin(); it != retention_due_.end();) {
    const Plan plan = PlanRetention(state_, *state_.FindJob(*it));
    all.events.insert(all.events.end(), plan.events.begin(), plan.events.end());
    // Looked at again afterwards; what the journal did not take stays due.
    it = plan.events.empty() ? retention_due_.erase(it) : std::next(it);
  }
  return CommitPlan(all);
}

bool Coordinator::EvaluateSchedule() {
  const View view = CurrentView();
  SchedulePlan plan = PlanSchedule(view);
  for (const SlotKey& key : plan.released) sessions_.leases.erase(key);
  if (!plan.released.empty()) return true;
  for (auto& [name, run] : sessions_.runs) {
    if (plan.waiting.count(name) == 0) {
      run.waiting_since = absl::InfiniteFuture();
    }
  }
  for (const auto& [name, reason] : plan.waiting) {
    JobRun& run = sessions_.runs[name];
    run.waiting_since = std::min(run.waiting_since, view.now);
    reasons_[name] = reason;
  }
  bool changed = false;
  if (!plan.events.empty()) {
    if (!Commit(plan.events).ok()) return false;
    changed = true;
  }
  for (const auto& [key, name] : plan.leased) {
    sessions_.leases[key] = name;
    sessions_.condemned.erase(key);
    changed = true;
  }
  for (const auto& [name, reason] : plan.evicted) {
    sessions_.runs[name].evicted = reason;
    Log(LogLevel::kInfo, "job gives its slots back",
        {{"job", name}, {"reason", reason}});
    changed = true;
  }
  return changed;
}

bool Coordinator::EvaluateOnce() {
  for (const auto& [name, job] : state_.jobs) {
    const bool active = HoldsSlots(job.state) || job.state == Job::CANCELLING;
    if (active && EvaluateJob(job)) return true;
  }
  return EvaluateRetention() || EvaluateSchedule();
}

void Coordinator::Evaluate() {
  if (shut_down_) return;
  int decisions = 0;
  while (EvaluateOnce()) {
    if (++decisions < kMaxDecisions) continue;
    // Plans that undo each other. Daemons go on with what they have; stopping
    // the process would not mend it.
    if (++livelock_count_ == 1) {
      Log(LogLevel::kError, "plans undo each other; report this with the log");
    }
    break;
  }
  NoteLosses();
  PushDesired();
}

void Coordinator::NoteLosses() {
  for (const auto& [name, run] : sessions_.runs) {
    if (run.progress.step() <= 0) continue;
    std::deque<LossPoint>& points = losses_[name];
    if (!points.empty() && points.back().step == run.progress.step()) continue;
    points.push_back({run.progress.step(), run.progress.loss()});
    if (points.size() < kMaxLossPoints) continue;
    // Every other point of the older half goes, so that the whole run stays
    // visible in bounded memory.
    std::deque<LossPoint> thinned;
    for (size_t i = 0; i < points.size(); ++i) {
      if (i % 2 == 0 || i > points.size() / 2) thinned.push_back(points[i]);
    }
    points = std::move(thinned);
  }
}

void Coordinator::PushDesired() {
  const View view = CurrentView();
  for (auto& [number, attached] : streams_) {
    const WorkerSession* session = sessions_.FindWorker(attached.worker);
    // Before its report it is not known what stands there already.
    if (session == nullptr || !session->reported) continue;
    lory::v1::DesiredState desired =
        PlanDesiredState(view, attached.worker, options_.storage_root);
    std::string bytes = StableBytes(desired);
    if (attached.version > 0 && bytes == attached.desired) continue;
    attached.desired = std::move(bytes);
    desired.set_version(++attached.version);
    lory::v1::AttendResponse response;
    *response.mutable_desired() = std::move(desired);
    attached.sink->Send(std::move(response));
  }
}

void Coordinator::Tick() {
  MutexLock lock(&mutex_);
  ForgetWorkers();
  Evaluate();
}

void Coordinator::ForgetWorkers() {
  const absl::Time now = clock_.MonotonicNow();
  for (auto it = sessions_.workers.begin(); it != sessions_.workers.end();) {
    const WorkerSession& session = it->second;
    const bool old =
        !session.stream_open && now - session.last_heard > kForgetWorkers;
    it = old ? sessions_.workers.erase(it) : std::next(it);
  }
}

int64_t Coordinator::WaitForChange(int64_t seen, absl::Duration timeout) {
  MutexLock lock(&mutex_);
  if (change_count_ <= seen && !shut_down_) {
    changed_.WaitFor(&mutex_, timeout);
  }
  return change_count_;
}

void Coordinator::Shutdown() {
  MutexLock lock(&mutex_);
  shut_down_ = true;
  for (auto& [number, attached] : streams_) {
    attached.sink->Close(ErrorWithReason(absl::StatusCode::kUnavailable,
                                         "COORDINATOR_STOPS",
                                         "the coordinator stops; try again"));
  }
  streams_.clear();
  changed_.NotifyAll();
}

bool Coordinator::failed() {
  MutexLock lock(&mutex_);
  return journal_.failed();
}

int64_t Coordinator::livelock_count() {
  MutexLock lock(&mutex_);
  return livelock_count_;
}

void Coordinator::Inspect(
    const std::function<void(const CoordinatorState&, const Sessions&)>& look) {
  MutexLock lock(&mutex_);
  look(state_, sessions_);
}

absl::StatusOr<std::optional<std::string>> Coordinator::FindAnswered(
    absl::string_view method, const google::protobuf::Message& request,
    const std::string& request_id) {
  if (request_id.size() > 64) {
    return FieldErrors({{"request_id", "is longer than a UUID"}});
  }
  const auto found = state_.requests.find(request_id);
  if (request_id.empty() || found == state_.requests.end()) {
    return std::optional<std::string>();
  }
  if (found->second.method != method ||
      found->second.request_hash != Sha256Hex(StableBytes(request))) {
    return ErrorWithReason(
        absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED",
        absl::StrCat("request_id ", request_id,
                     " was used for another request; make a new one"));
  }
  return std::optional<std::string>(found->second.resource);
}

absl::Status Coordinator::CommitCall(absl::string_view method,
                                     const google::protobuf::Message& request,
                                     const std::string& request_id,
                                     const std::string& resource,
                                     std::vector<Record> records) {
  if (!request_id.empty()) {
    Record record;
    auto* answered = record.mutable_request_answered();
    answered->set_request_id(request_id);
    answered->set_method(std::string(method));
    answered->set_resource(resource);
    answered->set_request_hash(Sha256Hex(StableBytes(request)));
    records.push_back(std::move(record));
  }
  return Commit(std::move(records));
}

}  // namespace lory::coordinator
