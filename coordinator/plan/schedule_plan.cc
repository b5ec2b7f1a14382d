#include "coordinator/plan/schedule_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/plan/job_plan.h"
#include "coordinator/plan/member_health.h"
#include "coordinator/plan/records.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Job;
using ::lory::v1::TrainerStatus;
using Phase = GenerationState::Phase;

bool Drains(const View& view, const std::string& worker) {
  return view.state.draining_workers.count(worker) > 0;
}

// Why `job` may not use a slot that no job holds; empty: it may.
std::string Obstacle(const View& view, const SlotKey& key,
                     const std::string& job) {
  if (Drains(view, key.worker)) return "it drains";
  if (!Attends(view, key.worker)) return "its daemon does not attend";
  if (const JobRun::Bar* bar = FindBar(view.sessions, key, job)) {
    return absl::StrCat(bar->for_good
                            ? "the job failed there and nowhere else: "
                            : "for some minutes, as no trainer starts there: ",
                        bar->error, "; mend that and start its daemon again");
  }
  const WorkerSession* worker = view.sessions.FindWorker(key.worker);
  const auto found = worker->trainers.find(key.slot);
  if (found == worker->trainers.end()) return "";
  const TrainerStatus& status = found->second;
  const auto condemned = view.sessions.condemned.find(key);
  // A fresh trainer of this very job, from before the coordinator's restart.
  // Where a deleted job had the name, it may be that one's, with its spec.
  const JobState* asking = view.state.FindJob(job);
  const bool is_first = asking != nullptr && asking->generations_before == 0;
  const bool fresh = status.job() == job && is_first && !HasEnded(status) &&
                     status.generation() == 0 &&
                     (condemned == view.sessions.condemned.end() ||
                      condemned->second != status.incarnation());
  if (fresh) return "";
  return absl::StrCat("a trainer of ", status.job(), " is still being ended");
}

// Why a slot that `job` holds must be given back; empty: it need not.
std::string MustRelease(const View& view, const SlotKey& key,
                        const JobState& job) {
  if (!HoldsSlots(job.state)) return "the job holds no slots";
  if (WorkerLost(view, key.worker)) return "its worker is lost";
  if (FindBar(view.sessions, key, job.name) != nullptr) return "it is barred";
  const WorkerSession* worker = view.sessions.FindWorker(key.worker);
  if (worker != nullptr && key.slot >= worker->description.slot_count()) {
    return "its worker has no such slot any more";
  }
  // A member is let go when a generation without it has started.
  const bool in_newest =
      job.generation.live() && job.generation.RankOf(key) >= 0;
  const bool in_started =
      !job.generation.Is(Phase::kStarted) && job.started.RankOf(key) >= 0;
  if (in_newest || in_started) return "";
  if (Drains(view, key.worker)) return "its worker drains";
  // Members that drain, or have lost their slot, are about to be replaced.
  int staying = 0;
  for (const SlotKey& member : job.generation.members) {
    const auto lease = view.sessions.leases.find(member);
    const bool leased =
        lease != view.sessions.leases.end() && lease->second == job.name;
    if (leased && !Drains(view, member.worker)) ++staying;
  }
  const bool full =
      job.generation.Is(Phase::kStarted) && staying >= job.spec.max_workers();
  return full ? "the job has all it may have" : "";
}

bool GoesBefore(const JobState& a, const JobState& b) {
  return std::pair(-a.spec.priority(), a.create_order) <
         std::pair(-b.spec.priority(), b.create_order);
}

class Scheduler {
 public:
  explicit Scheduler(const View& view) : view_(view) {}

  SchedulePlan Run() {
    Release();
    if (!plan_.released.empty()) return std::move(plan_);
    FindFree();
    OrderJobs();
    for (const JobState* job : order_) GiveMinimum(*job);
    for (const JobState* job : order_) GrowOrWait(*job);
    Evict();
    return std::move(plan_);
  }

 private:
  void Release() {
    for (const auto& [key, name] : view_.sessions.leases) {
      const JobState* job = view_.state.FindJob(name);
      if (job == nullptr || !MustRelease(view_, key, *job).empty()) {
        plan_.released.push_back(key);
      }
    }
  }

  void FindFree() {
    for (const auto& [name, worker] : view_.sessions.workers) {
      for (int slot = 0; slot < worker.description.slot_count(); ++slot) {
        const SlotKey key{name, slot};
        if (view_.sessions.leases.count(key) == 0) unheld_.insert(key);
      }
    }
  }

  void OrderJobs() {
    for (const auto& [name, job] : view_.state.jobs) {
      const JobRun* run = view_.sessions.FindRun(name);
      const bool stopping = job.state == Job::PAUSING ||
                            (run != nullptr && !run->evicted.empty());
      if (stopping) continue;
      if (job.state == Job::QUEUED || HoldsSlots(job.state)) {
        order_.push_back(&job);
      }
    }
    std::sort(order_.begin(), order_.end(),
              [](const JobState* a, const JobState* b) {
                return GoesBefore(*a, *b);
              });
  }

  int Held(const JobState& job) const {
    int held = 0;
    for (const SlotKey& key : view_.sessions.LeasesOf(job.name)) {
      if (!Drains(view_, key.worker)) ++held;
    }
    for (const auto& [key, name] : plan_.leased) {
      if (name == job.name) ++held;
    }
    return held;
  }

  // Slots that this very plan gives to the job.
  int LeasedNow(const JobState& job) const {
    return static_cast<int>(std::count_if(
        plan_.leased.begin(), plan_.leased.end(),
        [&](const auto& lease) { return lease.second == job.name; }));
  }

  bool MayUse(const JobState& job, const SlotKey& key) const {
    return Attends(view_, key.worker) && !Drains(view_, key.worker) &&
           FindBar(view_.sessions, key, job.name) == nullptr;
  }

  // How many slots that `holder` has would be of use to `job`.
  int UsableHeld(const std::string& holder, const JobState& job) const {
    int usable = 0;
    for (const SlotKey& key : view_.sessions.LeasesOf(holder)) {
      if (MayUse(job, key)) ++usable;
    }
    return usable;
  }

  // Whether a free slot waits for a job ahead that has waited too long.
  bool IsKeptFrom(const JobState& job, const SlotKey& key) const {
    return kept_for_ != nullptr && GoesBefore(*kept_for_, job) &&
           MayUse(*kept_for_, key);
  }

  std::vector<SlotKey> FreeFor(const JobState& job) const {
    std::vector<SlotKey> free;
    for (const SlotKey& key : unheld_) {
      if (Obstacle(view_, key, job.name).empty() && !IsKeptFrom(job, key)) {
        free.push_back(key);
      }
    }
    // Where a trainer of the job waits already; then by name.
    std::stable_partition(free.begin(), free.end(), [&](const SlotKey& key) {
      return view_.sessions.FindTrainer(key, job.name) != nullptr;
    });
    return free;
  }

  void Lease(const JobState& job, const std::vector<SlotKey>& free, int count) {
    for (int i = 0; i < count; ++i) {
      plan_.leased[free[static_cast<size_t>(i)]] = job.name;
      unheld_.erase(free[static_cast<size_t>(i)]);
    }
  }

  void GiveMinimum(const JobState& job) {
    const int minimum = job.spec.min_workers();
    const int missing = minimum - Held(job);
    if (missing <= 0) return;
    const auto dataset =
        view_.sessions.missing_datasets.find(job.spec.dataset());
    if (job.state == Job::QUEUED &&
        dataset != view_.sessions.missing_datasets.end()) {
      plan_.waiting[job.name] = absl::StrCat(
          job.spec.dataset(), " cannot be used: ", dataset->second);
      return;
    }
    const std::vector<SlotKey> free = FreeFor(job);
    const int count = static_cast<int>(free.size());
    if (count >= missing) {
      Lease(job, free, missing);
      if (job.state == Job::QUEUED) {
        plan_.events.push_back(
            StateChange(job.name, Job::STARTING,
                        absl::StrCat(CountedAre(minimum, "slot"),
                                     " free; trainers start")));
      }
      return;
    }
    plan_.waiting[job.name] = absl::StrCat(
        "needs ", Counted(minimum, "slot"), " at once, has ", Held(job),
        " and ", count, count == 1 ? " more is free" : " more are free",
        Attending());
    if (kept_for_ != nullptr) {
      plan_.waiting[job.name] +=
          absl::StrCat("; free slots are kept for ", kept_for_->name,
                       ", which has waited too long already");
    }
    if (job.state == Job::STARTING && !job.generation.live()) {
      plan_.events.push_back(
          StateChange(job.name, Job::QUEUED,
                      "too few trainers are left to start; waits for slots"));
    }
    NoteWaiting(job);
  }

  // A job that machines could serve, if others left them, is passed only for a
  // while.
  void NoteWaiting(const JobState& job) {
    int could_serve = 0;
    for (const auto& [name, worker] : view_.sessions.workers) {
      for (int slot = 0; slot < worker.description.slot_count(); ++slot) {
        could_serve += MayUse(job, {name, slot}) ? 1 : 0;
      }
    }
    if (could_serve < job.spec.min_workers()) return;
    starved_.push_back(&job);
    const JobRun* run = view_.sessions.FindRun(job.name);
    if (run != nullptr && kept_for_ == nullptr &&
        view_.now - run->waiting_since > view_.options.backfill_limit) {
      kept_for_ = &job;
    }
  }

  std::string Attending() const {
    int workers = 0, slots = 0, draining = 0;
    for (const auto& [name, worker] : view_.sessions.workers) {
      if (!Attends(view_, name)) continue;
      ++workers;
      slots += worker.description.slot_count();
      if (Drains(view_, name)) ++draining;
    }
    return absl::StrCat(
        " (", Counted(workers, "worker"),
        workers == 1 ? " attends with " : " attend with ",
        Counted(slots, "slot"),
        draining > 0 ? absl::StrCat(", ", draining, " to drain") : "", ")");
  }

  void GrowOrWait(const JobState& job) {
    if (!starved_.empty()) return;
    if (job.state == Job::QUEUED && Held(job) == 0) return;
    const std::vector<SlotKey> free = FreeFor(job);
    const int wanted = std::min(job.spec.max_workers() - Held(job),
                                static_cast<int>(free.size()));
    if (Held(job) >= job.spec.min_workers()) Lease(job, free, wanted);
  }

  // The first job that waits although machines are there takes the slots of
  // lower priorities, the lowest and youngest first.
  void Evict() {
    for (const JobState* job : order_) {
      if (!HoldsSlots(job->state)) continue;
      const std::string drain = EvictionByDrain(view_, *job, LeasedNow(*job));
      if (!drain.empty()) plan_.evicted[job->name] = drain;
    }
    if (starved_.empty()) return;
    const JobState& job = *starved_.front();
    int missing = job.spec.min_workers() - Held(job) -
                  static_cast<int>(FreeFor(job).size());
    // Slots that are being given back already.
    for (const auto& [key, name] : view_.sessions.leases) {
      const JobRun* run = view_.sessions.FindRun(name);
      const bool returns = run != nullptr && !run->evicted.empty();
      if (returns && MayUse(job, key)) --missing;
    }
    std::vector<const JobState*> victims;
    for (auto it = order_.rbegin(); it != order_.rend() && missing > 0; ++it) {
      const JobState& other = **it;
      if (other.spec.priority() >= job.spec.priority()) break;
      const int usable = UsableHeld(other.name, job);
      if (!HoldsSlots(other.state) || usable == 0) continue;
      missing -= usable;
      victims.push_back(&other);
    }
    if (missing > 0) return;
    for (const JobState* victim : victims) {
      plan_.evicted[victim->name] =
          absl::StrCat("gives its slots to ", job.name, " of priority ",
                       job.spec.priority());
    }
  }

  const View& view_;
  SchedulePlan plan_;
  std::set<SlotKey> unheld_;
  std::vector<const JobState*> order_;
  std::vector<const JobState*> starved_;
  const JobState* kept_for_ = nullptr;
};

}  // namespace

SchedulePlan PlanSchedule(const View& view) { return Scheduler(view).Run(); }

std::vector<std::string> ExplainSchedule(const View& view,
                                         const JobState& job) {
  std::vector<std::string> sentences;
  for (const auto& [name, other] : view.state.jobs) {
    if (!GoesBefore(other, job) || other.state != Job::QUEUED) continue;
    sentences.push_back(absl::StrCat(name, " is ahead in the queue (priority ",
                                     other.spec.priority(), ")."));
  }
  for (const auto& [name, worker] : view.sessions.workers) {
    for (int slot = 0; slot < worker.description.slot_count(); ++slot) {
      const SlotKey key{name, slot};
      const auto lease = view.sessions.leases.find(key);
      std::string what;
      if (lease != view.sessions.leases.end()) {
        what = absl::StrCat("is held by ", lease->second);
      } else {
        const std::string obstacle = Obstacle(view, key, job.name);
        what = obstacle.empty() ? "is free"
                                : absl::StrCat("cannot be used: ", obstacle);
      }
      sentences.push_back(absl::StrCat(ToString(key), " ", what, "."));
    }
  }
  if (view.sessions.workers.empty()) {
    sentences.push_back("No worker has attended since the coordinator began.");
  }
  return sentences;
}

}  // namespace lory::coordinator
