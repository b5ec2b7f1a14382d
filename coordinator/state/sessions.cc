#include "coordinator/state/sessions.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/state/job_state.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::TrainerStatus;

// What fails alike on so many hosts, and has not worked on any, is the job's
// fault.
constexpr int kHostsThatProve = 3;

// Trainers that cannot start in a slot, one after the other, are no accident.
constexpr int kStartsThatProve = 3;
constexpr absl::Duration kInARow = absl::Minutes(10);
// What kept them from starting may pass, such as a mount that hangs.
constexpr absl::Duration kBarOfStarts = absl::Minutes(5);

// Slots of other hosts that the job may use, free or not.
int SlotsElsewhere(const SlotKey& key, const std::string& job,
                   const Sessions& sessions) {
  int count = 0;
  for (const auto& [name, worker] : sessions.workers) {
    if (name == key.worker || !worker.stream_open) continue;
    for (int slot = 0; slot < worker.description.slot_count(); ++slot) {
      if (FindBar(sessions, {name, slot}, job) == nullptr) ++count;
    }
  }
  return count;
}

// Other hosts that are barred from the job for the same error, or where no
// trainer started: those errors name their host.
int HostsAlike(const SlotKey& key, const TrainerStatus& failed,
               const JobRun& run, const Sessions& sessions) {
  std::set<std::string> hosts;
  for (const auto& [slot, bar] : run.barred) {
    if (slot.worker != key.worker &&
        (bar.error == failed.error() || !bar.for_good) &&
        FindBar(sessions, slot, failed.job()) != nullptr) {
      hosts.insert(slot.worker);
    }
  }
  return static_cast<int>(hosts.size());
}

// Whether what failed in `key` is that host's fault, not the job's: the job has
// a trainer elsewhere that is up, or hosts enough that may do better.
bool IsHostsFault(const SlotKey& key, const TrainerStatus& failed,
                  const JobState& job, const JobRun& run,
                  const Sessions& sessions) {
  if (failed.error_is_of_job()) return false;
  for (const SlotKey& other : sessions.LeasesOf(failed.job())) {
    if (other == key) continue;
    const WorkerSession* worker = sessions.FindWorker(other.worker);
    if (worker == nullptr || !worker->reported) return true;
    const TrainerStatus* status = sessions.FindTrainer(other, failed.job());
    if (status != nullptr && IsUp(*status)) return true;
  }
  return HostsAlike(key, failed, run, sessions) + 1 < kHostsThatProve &&
         SlotsElsewhere(key, job.name, sessions) >= job.spec.min_workers();
}

// See JobRun::exits_without_progress.
void CountFailure(const SlotKey& key, int64_t generation, JobRun& run) {
  const bool another =
      generation > run.failed_generation || run.failed_slots.count(key) > 0;
  if (another) {
    ++run.exits_without_progress;
    run.failed_generation = std::max(run.failed_generation, generation);
    run.failed_slots.clear();
  }
  run.failed_slots.insert(key);
}

// Whether it ended, and not because somebody killed it, before a generation
// took it.
bool FailedToStart(const TrainerStatus& status) {
  constexpr int kBySignal = 128;  // exit statuses from here on
  const bool by_itself =
      status.phase() == TrainerStatus::FAILED ||
      (status.exit_status() > 0 && status.exit_status() < kBySignal);
  return by_itself && status.generation() == 0;
}

// How many in a row did not start in the slot, with this one; 0: it did.
int CountFailedStart(const WorkerSession& session, const SlotKey& key,
                     const TrainerStatus& status, absl::Time now, JobRun& run) {
  if (!FailedToStart(status)) return 0;
  JobRun::FailedStarts& starts = run.failed_starts[key];
  if (starts.daemon != session.incarnation || now - starts.last > kInARow) {
    starts = {.daemon = session.incarnation};
  }
  starts.last = now;
  return ++starts.count;
}

// Counts the end of a process once, and takes its slot back: whatever comes
// there next is another trainer. `replaced`: that one is there already.
void ObserveEnd(const JobState& job, const SlotKey& key,
                const TrainerStatus& status, bool replaced, absl::Time now,
                Sessions& sessions) {
  WorkerSession& session = sessions.workers[key.worker];
  TrainerStatus& last = session.ended[key.slot];
  if (!last.incarnation().empty() &&
      last.incarnation() == status.incarnation()) {
    return;
  }
  last = status;
  const auto lease = sessions.leases.find(key);
  if (lease == sessions.leases.end() || lease->second != status.job()) return;
  if (!replaced) sessions.leases.erase(lease);
  JobRun& run = sessions.runs[status.job()];
  const bool permanent =
      status.phase() == TrainerStatus::FAILED && status.error_is_permanent();
  const int starts = CountFailedStart(session, key, status, now, run);
  if ((permanent || starts >= kStartsThatProve) &&
      IsHostsFault(key, status, job, run, sessions)) {
    run.failed_starts.erase(key);
    run.barred[key] = {
        .daemon = session.incarnation,
        .error = status.error(),
        .for_good = permanent,
        .end = permanent ? absl::InfiniteFuture() : now + kBarOfStarts};
    return;
  }
  CountFailure(key, std::min(status.generation(), job.started.number), run);
  run.last_error = status.error().empty()
                       ? absl::StrCat("exit status ", status.exit_status())
                       : status.error();
  // Those of a slot count across the queue, to which each sends the job.
  run.exits_without_progress = std::max(run.exits_without_progress, starts);
  if (permanent) {
    run.permanent_error = run.last_error;
    run.error_is_of_job = status.error_is_of_job();
  }
}

// Whether it trained for a deleted job that had the same name.
bool IsOfDeleted(const TrainerStatus& status, const JobState& job) {
  return status.generation() > 0 &&
         status.generation() <= job.generations_before;
}

// The process that may stand for a member: the one in its slot, if it has been
// told of `generation`.
std::string Candidate(const SlotKey& key, const std::string& job,
                      int64_t generation, const Sessions& sessions) {
  const TrainerStatus* status = sessions.FindTrainer(key, job);
  if (status == nullptr || HasEnded(*status)) return "";
  return status->generation() >= generation ? status->incarnation() : "";
}

void BindMembers(const JobState& job, absl::Time now, Sessions& sessions,
                 JobRun& run) {
  const GenerationState& generation = job.generation;
  if (run.generation != generation.number) {
    run.generation = generation.number;
    run.members.assign(generation.members.size(), "");
    run.opened_time = now;
    run.broken_time = absl::InfiniteFuture();
    run.joiner_time = absl::InfiniteFuture();
  }
  // Whoever holds the slot of an open generation may answer for it; a started
  // one has told its members its number.
  const int64_t told =
      generation.Is(GenerationState::Phase::kOpened) ? 0 : generation.number;
  for (size_t rank = 0; rank < run.members.size(); ++rank) {
    if (!run.members[rank].empty()) continue;
    run.members[rank] =
        Candidate(generation.members[rank], job.name, told, sessions);
  }
  if (run.started != job.started.number) {
    run.started = job.started.number;
    run.round.Clear();
    run.highest_step = job.started.start_step;
    run.started_members.assign(job.started.members.size(), "");
    if (run.generation == run.started) run.started_members = run.members;
  }
  for (size_t rank = 0; rank < run.started_members.size(); ++rank) {
    if (!run.started_members[rank].empty()) continue;
    run.started_members[rank] = Candidate(job.started.members[rank], job.name,
                                          job.started.number, sessions);
  }
}

void FollowProgress(const JobState& job, absl::Time now,
                    const Sessions& sessions, JobRun& run) {
  double step_seconds = 0;
  for (size_t rank = 0; rank < run.started_members.size(); ++rank) {
    const TrainerStatus* status =
        sessions.FindTrainer(job.started.members[rank], job.name);
    if (status == nullptr ||
        status->incarnation() != run.started_members[rank]) {
      continue;
    }
    run.checkpoint_order =
        std::max(run.checkpoint_order, status->checkpoint_order());
    step_seconds =
        std::max(step_seconds, status->progress().step_times().total_seconds());
    // What it applied in a generation that was fenced off does not count.
    if (status->generation() < job.started.number) continue;
    if (status->applied_step() > run.highest_step) {
      run.highest_step = status->applied_step();
      run.progress_time = now;
      if (run.highest_step > run.furthest_step &&
          run.highest_step > job.started.start_step) {
        run.exits_without_progress = 0;
        run.failed_generation = -1;
      }
      run.furthest_step = std::max(run.furthest_step, run.highest_step);
    }
    if (rank == 0 && (status->progress().step() > 0 ||
                      status->progress().has_evaluation())) {
      run.progress = status->progress();
    }
  }
  if (step_seconds > 0) run.step_seconds = step_seconds;
}

}  // namespace

const WorkerSession* Sessions::FindWorker(const std::string& name) const {
  const auto found = workers.find(name);
  return found == workers.end() ? nullptr : &found->second;
}

const TrainerStatus* Sessions::FindTrainer(const SlotKey& key,
                                           const std::string& job) const {
  const WorkerSession* worker = FindWorker(key.worker);
  if (worker == nullptr) return nullptr;
  const auto found = worker->trainers.find(key.slot);
  return found == worker->trainers.end() || found->second.job() != job
             ? nullptr
             : &found->second;
}

const JobRun* Sessions::FindRun(const std::string& job) const {
  const auto found = runs.find(job);
  return found == runs.end() ? nullptr : &found->second;
}

std::vector<SlotKey> Sessions::LeasesOf(const std::string& job) const {
  std::vector<SlotKey> keys;
  for (const auto& [key, holder] : leases) {
    if (holder == job) keys.push_back(key);
  }
  return keys;
}

const JobRun::Bar* FindBar(const Sessions& sessions, const SlotKey& key,
                           const std::string& job) {
  const JobRun* run = sessions.FindRun(job);
  const WorkerSession* worker = sessions.FindWorker(key.worker);
  if (run == nullptr || worker == nullptr) return nullptr;
  const auto bar = run->barred.find(key);
  return bar == run->barred.end() || bar->second.daemon != worker->incarnation
             ? nullptr
             : &bar->second;
}

bool HasEnded(const TrainerStatus& status) {
  return status.phase() == TrainerStatus::EXITED ||
         status.phase() == TrainerStatus::FAILED;
}

bool IsUp(const TrainerStatus& status) {
  return !HasEnded(status) && status.phase() != TrainerStatus::STARTING &&
         status.phase() != TrainerStatus::PHASE_UNSPECIFIED;
}

void Observe(const CoordinatorState& state, absl::Time now,
             const std::string& worker, const lory::v1::AttendRequest& message,
             Sessions& sessions) {
  WorkerSession& session = sessions.workers[worker];
  session.last_heard = now;
  if (message.has_hello() && message.trainers().empty() && !session.fresh) {
    return;
  }
  session.reported = true;
  const auto before = std::exchange(session.trainers, {});
  for (const TrainerStatus& status : message.trainers()) {
    if (status.phase() == TrainerStatus::EXITED) continue;
    const auto old = before.find(status.slot());
    if (old == before.end() ||
        old->second.progress_counter() != status.progress_counter()) {
      session.moved[status.slot()] = now;
    }
    session.trainers[status.slot()] = status;
  }
  for (const TrainerStatus& status : message.trainers()) {
    const SlotKey key{worker, status.slot()};
    const JobState* job = state.FindJob(status.job());
    if (job != nullptr && HasEnded(status) && !IsOfDeleted(status, *job)) {
      const bool replaced =
          std::any_of(message.trainers().begin(), message.trainers().end(),
                      [&](const TrainerStatus& other) {
                        return other.slot() == status.slot() &&
                               other.incarnation() != status.incarnation() &&
                               other.phase() != TrainerStatus::EXITED;
                      });
      ObserveEnd(*job, key, status, replaced, now, sessions);
    }
  }
  // A condemned process is forgotten when its slot shows another, or none.
  for (auto it = sessions.condemned.begin(); it != sessions.condemned.end();) {
    const bool here = it->first.worker == worker;
    const auto found = session.trainers.find(it->first.slot);
    const bool gone = here && (found == session.trainers.end() ||
                               found->second.incarnation() != it->second);
    it = gone ? sessions.condemned.erase(it) : std::next(it);
  }
}

void LeaseMembers(const CoordinatorState& state, Sessions& sessions) {
  const auto lease = [&](const std::vector<SlotKey>& members,
                         const std::string& job) {
    for (const SlotKey& key : members) sessions.leases.emplace(key, job);
  };
  for (const auto& [name, job] : state.jobs) {
    if (job.generation.live()) lease(job.generation.members, name);
  }
  // What else a job had, unless it was taken from it and another has it now:
  // the journal does not tell.
  for (const auto& [name, job] : state.jobs) {
    if (!HoldsSlots(job.state) || job.slots_let_go) continue;
    lease(job.generation.members, name);
    // Members that an open generation leaves out go on until it starts.
    if (job.generation.Is(GenerationState::Phase::kOpened)) {
      lease(job.started.members, name);
    }
  }
}

void FollowJob(const JobState& job, absl::Time now, Sessions& sessions) {
  JobRun& run = sessions.runs[job.name];
  std::erase_if(run.barred,
                [now](const auto& entry) { return entry.second.end <= now; });
  for (const SlotKey& key : job.started.members) {
    const TrainerStatus* status = sessions.FindTrainer(key, job.name);
    if (status != nullptr && !HasEnded(*status) && status->generation() > 0) {
      run.failed_starts.erase(key);
    }
  }
  BindMembers(job, now, sessions, run);
  FollowProgress(job, now, sessions, run);
  bool broken = false, joiner = false;
  for (const SlotKey& key : sessions.LeasesOf(job.name)) {
    const TrainerStatus* status = sessions.FindTrainer(key, job.name);
    if (status == nullptr || !IsUp(*status)) continue;
    if (!job.generation.live() || job.generation.RankOf(key) < 0) {
      joiner = true;
    } else if (status->phase() == TrainerStatus::BROKEN &&
               status->generation() == job.generation.number) {
      broken = true;
    }
  }
  const auto note = [now](bool seen, absl::Time& since) {
    since = seen ? std::min(since, now) : absl::InfiniteFuture();
  };
  note(broken, run.broken_time);
  note(joiner, run.joiner_time);
}

}  // namespace lory::coordinator
