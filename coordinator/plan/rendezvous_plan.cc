#include "coordinator/plan/rendezvous_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/plan/checkpoint_plan.h"
#include "coordinator/plan/records.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::internal::v1::GenerationEnded;
using ::lory::v1::Job;
using ::lory::v1::TrainerStatus;
using Kind = MemberHealth::Kind;
using Phase = GenerationState::Phase;

RendezvousPlan Wait(std::string reason) {
  RendezvousPlan plan;
  plan.reason = std::move(reason);
  return plan;
}

bool Drains(const View& view, const SlotKey& key) {
  return view.state.draining_workers.count(key.worker) > 0;
}

// Whether the trainer in `key` was in the newest started generation, so that
// its state is the job's.
bool HoldsState(const View& view, const JobState& job, const SlotKey& key) {
  const JobRun* run = view.sessions.FindRun(job.name);
  const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
  const int rank = job.started.RankOf(key);
  return run != nullptr && status != nullptr && rank >= 0 &&
         run->started == job.started.number &&
         status->incarnation() ==
             run->started_members[static_cast<size_t>(rank)] &&
         status->applied_step() >= 0;
}

const MemberHealth* FirstOf(const std::vector<MemberHealth>& members,
                            Kind kind) {
  for (const MemberHealth& member : members) {
    if (member.kind == kind) return &member;
  }
  return nullptr;
}

RendezvousPlan End(const JobState& job, GenerationEnded::Cause cause,
                   std::string reason) {
  RendezvousPlan plan;
  plan.reason = reason;
  plan.events.push_back(EndGeneration(job, cause, std::move(reason)));
  return plan;
}

RendezvousPlan Open(const JobState& job, const std::vector<SlotKey>& members,
                    std::string reason) {
  RendezvousPlan plan;
  plan.reason = reason;
  plan.events.push_back(OpenGeneration(job.name, job.generation.number + 1,
                                       members, std::move(reason)));
  return plan;
}

// A planned change: the old generation ends and the new one opens at once.
RendezvousPlan Replace(const JobState& job, const std::vector<SlotKey>& members,
                       const std::string& reason) {
  RendezvousPlan plan = End(job, GenerationEnded::CAUSE_UNSPECIFIED, reason);
  plan.events.push_back(
      OpenGeneration(job.name, job.generation.number + 1, members, reason));
  return plan;
}

bool IsPrepared(const JobState& job, const MemberHealth& member) {
  return member.status != nullptr &&
         member.status->phase() == TrainerStatus::PREPARED &&
         member.status->generation() == job.generation.number &&
         !member.status->listen_endpoint().empty();
}

// A line for the job's timeline beside its start.
lory::internal::v1::JournalRecord Remark(const JobState& job, int64_t step,
                                         std::string message) {
  lory::internal::v1::JournalRecord record;
  record.mutable_job_event_added()->set_job(job.name);
  auto* note = record.mutable_job_event_added()->mutable_event();
  note->set_kind(lory::v1::JobEvent::GENERATION_STARTED);
  note->set_generation(job.generation.number);
  note->set_step(step);
  note->set_message(std::move(message));
  return record;
}

RendezvousPlan Start(const View& view, const JobState& job,
                     const std::vector<MemberHealth>& members,
                     const std::string& token) {
  std::vector<PreparedState> prepared;
  for (size_t rank = 0; rank < members.size(); ++rank) {
    const bool counts = HoldsState(view, job, job.generation.members[rank]);
    prepared.push_back({counts ? members[rank].status->applied_step() : -1,
                        members[rank].status->state_digest()});
  }
  const lory::v1::Checkpoint* checkpoint = job.NewestCheckpoint();
  const StartChoice choice =
      ChooseStart(prepared, checkpoint == nullptr ? -1 : checkpoint->step());

  RendezvousPlan plan;
  plan.reason = absl::StrCat("generation ", job.generation.number, " starts");
  lory::internal::v1::JournalRecord record;
  auto* event = record.mutable_generation_started();
  event->set_job(job.name);
  event->set_generation(job.generation.number);
  event->set_start_step(choice.start_step);
  event->set_source_rank(choice.source_rank);
  event->set_restored_checkpoint_step(choice.restored_checkpoint_step);
  event->set_collective_token(token);
  for (size_t rank = 0; rank < members.size(); ++rank) {
    auto* member = event->add_members();
    member->set_rank(static_cast<int>(rank));
    member->set_worker(job.generation.members[rank].worker);
    member->set_slot(job.generation.members[rank].slot);
    member->set_applied_step(prepared[rank].applied_step);
    event->add_peer_endpoints(members[rank].status->listen_endpoint());
  }
  plan.events.push_back(std::move(record));
  if (!choice.odd_ranks.empty()) {
    plan.events.push_back(
        Remark(job, choice.start_step,
               absl::StrCat("ranks ", absl::StrJoin(choice.odd_ranks, ", "),
                            " held another state at step ", choice.start_step,
                            " than the majority and receive that of rank ",
                            choice.source_rank)));
    auto* note = plan.events.back().mutable_job_event_added()->mutable_event();
    (*note->mutable_attributes())["odd_ranks"] =
        absl::StrJoin(choice.odd_ranks, ",");
  }
  if (choice.source_rank < 0 && checkpoint == nullptr &&
      !job.checkpoints.empty()) {
    plan.events.push_back(
        Remark(job, 0,
               "no trainer holds a state and no checkpoint is whole any more: "
               "training starts over"));
  }
  return plan;
}

// Since when a member that has not prepared keeps everybody waiting: since it
// was asked, or, while it evaluates, restores or waits for its disk, since it
// was last seen to get on with that.
absl::Time IdleSince(const View& view, const JobRun& run, const SlotKey& key,
                     const MemberHealth& member) {
  const bool busy = member.status != nullptr &&
                    (member.status->phase() == TrainerStatus::TRAINING ||
                     member.status->phase() == TrainerStatus::PREPARED);
  const WorkerSession* worker = view.sessions.FindWorker(key.worker);
  if (!busy || worker == nullptr) return run.opened_time;
  const auto moved = worker->moved.find(key.slot);
  return moved == worker->moved.end()
             ? run.opened_time
             : std::max(run.opened_time, moved->second);
}

RendezvousPlan PlanOpened(const View& view, const JobState& job,
                          const std::string& token) {
  const std::vector<MemberHealth> members = HealthOfAll(view, job);
  if (const MemberHealth* lost = FirstOf(members, Kind::kLost)) {
    return End(job, lost->cause, lost->reason);
  }
  const JobRun* run = view.sessions.FindRun(job.name);
  const bool bound = run != nullptr && run->generation == job.generation.number;
  // A step that is under way has to end first, however long steps are here.
  const absl::Duration limit =
      std::max(view.options.prepare_limit,
               run == nullptr ? absl::ZeroDuration()
                              : 3 * absl::Seconds(run->step_seconds));
  std::vector<SlotKey> late, hung;
  for (size_t rank = 0; rank < members.size(); ++rank) {
    if (IsPrepared(job, members[rank])) continue;
    const SlotKey& key = job.generation.members[rank];
    late.push_back(key);
    if (bound && view.now - IdleSince(view, *run, key, members[rank]) > limit) {
      hung.push_back(key);
    }
  }
  if (late.empty()) return Start(view, job, members, token);
  const auto names = [](const std::vector<SlotKey>& keys) {
    return absl::StrJoin(keys, ", ", [](std::string* out, const SlotKey& key) {
      absl::StrAppend(out, ToString(key));
    });
  };
  if (!hung.empty()) {
    RendezvousPlan plan = End(
        job, GenerationEnded::PREPARE,
        absl::StrCat(names(hung), " did not prepare generation ",
                     job.generation.number, " within ", ShortDuration(limit)));
    plan.condemned = hung;
    return plan;
  }
  return Wait(absl::StrCat("waits for ", names(late), " to prepare generation ",
                           job.generation.number));
}

// Why the set of members should change although nothing is wrong; empty: it
// should not.
std::string WantedChange(const View& view, const JobState& job,
                         const JobRun& run,
                         const std::vector<SlotKey>& wanted) {
  const std::vector<SlotKey>& members = job.generation.members;
  if (wanted == members || wanted.empty()) return "";
  const std::set<SlotKey> now(members.begin(), members.end());
  const std::set<SlotKey> then(wanted.begin(), wanted.end());
  for (const SlotKey& key : members) {
    if (then.count(key) > 0) continue;
    return Drains(view, key) ? absl::StrCat(key.worker, " drains")
                             : absl::StrCat("at most ", job.spec.max_workers(),
                                            " trainers are wanted");
  }
  for (const SlotKey& key : view.sessions.LeasesOf(job.name)) {
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    const bool starting = status == nullptr || !IsUp(*status);
    if (starting && now.count(key) == 0 &&
        view.now - run.joiner_time < view.options.join_wait) {
      return "";  // another joiner is about to be ready
    }
  }
  for (const SlotKey& key : wanted) {
    if (now.count(key) == 0) return absl::StrCat(ToString(key), " joins");
  }
  return "";
}

// A trainer holds a round that was granted before a restart and reported after
// the next one was granted: only a new generation makes all agree again.
bool Contradicts(const lory::v1::Round& held, const lory::v1::Round& granted) {
  if (granted.id() == 0 || held.id() < granted.id()) return false;
  return held.id() > granted.id() ||
         held.SerializeAsString() != granted.SerializeAsString();
}

// The generation cannot have what it was to start from. The coordinator looks
// at the files itself before it believes so.
RendezvousPlan PlanUnreadable(const JobState& job, const JobRun& run,
                              const UnreadableCheckpoint& unreadable) {
  const std::string complaint =
      absl::StrCat(ToString(unreadable.by), " cannot read ", unreadable.name,
                   ": ", unreadable.error);
  const auto& checkpoint =
      job.checkpoints.at(job.started.restored_checkpoint_step);
  if (checkpoint.state() != lory::v1::Checkpoint::COMMITTED) {
    return End(job, GenerationEnded::CHECKPOINT, complaint);
  }
  if (run.whole_for == job.started.number) {
    return End(job, GenerationEnded::CHECKPOINT,
               absl::StrCat(complaint, "; the coordinator finds it whole"));
  }
  return Wait(absl::StrCat(
      complaint, "; the coordinator looks at it",
      run.look_failure.empty() ? "" : " again, for: ", run.look_failure));
}

RendezvousPlan PlanStarted(const View& view, const JobState& job) {
  const std::vector<MemberHealth> members = HealthOfAll(view, job);
  if (const MemberHealth* lost = FirstOf(members, Kind::kLost)) {
    return End(job, lost->cause, lost->reason);
  }
  const JobRun* run = view.sessions.FindRun(job.name);
  if (run == nullptr) return Wait("");
  if (const auto unreadable = FindUnreadable(view, job)) {
    return PlanUnreadable(job, *run, *unreadable);
  }
  if (view.now - run->broken_time >= view.options.suspicion) {
    std::string what = "a collective failed";
    for (size_t rank = 0; rank < members.size(); ++rank) {
      const TrainerStatus* status = members[rank].status;
      if (status == nullptr || status->phase() != TrainerStatus::BROKEN ||
          status->generation() != job.generation.number) {
        continue;
      }
      what = absl::StrCat("a collective failed on ",
                          ToString(job.generation.members[rank]), ": ",
                          status->error());
      break;
    }
    return End(job, GenerationEnded::COLLECTIVE, what);
  }
  for (const MemberHealth& member : members) {
    if (member.kind != Kind::kAlive) return Wait(member.reason);
    // A change needs all members at a step boundary of this generation.
    if (member.status->generation() != job.generation.number) return Wait("");
  }
  for (size_t rank = 0; rank < members.size(); ++rank) {
    if (!Contradicts(members[rank].status->round(), run->round)) continue;
    return Replace(job, job.generation.members,
                   absl::StrCat(ToString(job.generation.members[rank]),
                                " holds a round of before the restart"));
  }
  if (job.state != Job::RUNNING || IsStopping(view, job)) return Wait("");
  if (run->highest_step >= job.spec.step_count()) return Wait("");
  std::vector<SlotKey> wanted = Candidates(view, job, /*with_draining=*/false);
  const bool has_state = std::any_of(
      wanted.begin(), wanted.end(),
      [&](const SlotKey& key) { return HoldsState(view, job, key); });
  // All that hold the state drain: newcomers receive it from one of them
  // first, then it may go.
  if (!has_state && !wanted.empty()) {
    wanted = Candidates(view, job, /*with_draining=*/true);
  }
  if (static_cast<int>(wanted.size()) < MinWorkers(view, job)) return Wait("");
  const std::string change = WantedChange(view, job, *run, wanted);
  return change.empty() ? Wait("") : Replace(job, wanted, change);
}

RendezvousPlan PlanEnded(const View& view, const JobState& job) {
  const JobRun* run = view.sessions.FindRun(job.name);
  if (run == nullptr) return Wait("");
  // After a restart, members that still may come back are waited for: one of
  // them could be the only one that holds the state.
  for (const SlotKey& key : job.started.members) {
    const WorkerSession* worker = view.sessions.FindWorker(key.worker);
    const bool heard = worker != nullptr && worker->reported;
    if (!heard && !WorkerLost(view, key.worker) &&
        view.sessions.leases.count(key) > 0) {
      return Wait(absl::StrCat("waits for ", ToString(key), " to report"));
    }
  }
  const std::vector<SlotKey> members =
      Candidates(view, job, /*with_draining=*/IsStopping(view, job));
  const std::vector<SlotKey> leased = view.sessions.LeasesOf(job.name);
  const int minimum = MinWorkers(view, job);
  if (static_cast<int>(members.size()) < minimum) {
    return Wait(absl::StrCat(members.size(), " of at least ",
                             CountedAre(minimum, "trainer"), " ready; ",
                             CountedAre(leased.size(), "slot"), " held"));
  }
  const bool has_state = std::any_of(
      members.begin(), members.end(),
      [&](const SlotKey& key) { return HoldsState(view, job, key); });
  // A break of a stream must not cost what its trainer holds.
  if (!has_state) {
    for (const SlotKey& key : job.started.members) {
      if (IsAway(view, key.worker) && HoldsState(view, job, key)) {
        return Wait(absl::StrCat("waits for ", ToString(key),
                                 ", which holds the state, to come back"));
      }
    }
  }
  if (!has_state && members.size() < leased.size() &&
      view.now - run->joiner_time < view.options.join_wait &&
      !IsStopping(view, job)) {
    return Wait(absl::StrCat(members.size(), " of ", leased.size(),
                             " trainers are ready"));
  }
  return Open(
      job, members,
      !job.generation.ended_by_fault
          ? absl::StrCat(CountedAre(members.size(), "trainer"), " ready")
          : absl::StrCat(CountedAre(members.size(), "trainer"),
                         " left after the fault"));
}

}  // namespace

StartChoice ChooseStart(const std::vector<PreparedState>& prepared,
                        int64_t checkpoint_step) {
  StartChoice choice;
  int64_t highest = -1;
  for (const PreparedState& state : prepared) {
    highest = std::max(highest, state.applied_step);
  }
  if (highest < 0 || highest < checkpoint_step) {
    choice.restored_checkpoint_step = checkpoint_step;
    choice.start_step = std::max<int64_t>(checkpoint_step, 0);
    return choice;
  }
  choice.start_step = highest;
  std::map<std::string, int> votes;
  for (const PreparedState& state : prepared) {
    if (state.applied_step == highest) ++votes[state.digest];
  }
  int most = 0;
  for (size_t rank = 0; rank < prepared.size(); ++rank) {
    const PreparedState& state = prepared[rank];
    if (state.applied_step != highest || votes[state.digest] <= most) continue;
    most = votes[state.digest];
    choice.source_rank = static_cast<int>(rank);
  }
  for (size_t rank = 0; rank < prepared.size(); ++rank) {
    if (prepared[rank].applied_step == highest &&
        prepared[rank].digest !=
            prepared[static_cast<size_t>(choice.source_rank)].digest) {
      choice.odd_ranks.push_back(static_cast<int>(rank));
    }
  }
  return choice;
}

std::vector<SlotKey> Candidates(const View& view, const JobState& job,
                                bool with_draining) {
  std::vector<SlotKey> ready;
  for (const SlotKey& key : view.sessions.LeasesOf(job.name)) {
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    if (status == nullptr || !IsUp(*status)) continue;
    if (!Attends(view, key.worker)) continue;
    if (!with_draining && Drains(view, key)) continue;
    ready.push_back(key);
  }
  // Those that hold the state first, in their order; so that who was rank 0
  // stays it.
  const auto order = [&](const SlotKey& key) {
    const int rank = job.started.RankOf(key);
    const bool holds = HoldsState(view, job, key);
    return std::pair(holds ? rank : 1 << 20, key);
  };
  std::sort(
      ready.begin(), ready.end(),
      [&](const SlotKey& a, const SlotKey& b) { return order(a) < order(b); });
  // One more than wanted while a state is handed over to who stays.
  const size_t most = static_cast<size_t>(
      std::min(job.spec.max_workers() + (with_draining ? 1 : 0),
               job.spec.micro_batch_count()));
  if (ready.size() > most) ready.resize(most);
  return ready;
}

int MinWorkers(const View& view, const JobState& job) {
  // For the last checkpoint before a stop, whoever is left is enough.
  return IsStopping(view, job) ? 1 : job.spec.min_workers();
}

bool IsStopping(const View& view, const JobState& job) {
  const JobRun* run = view.sessions.FindRun(job.name);
  return job.state == Job::PAUSING || (run != nullptr && !run->evicted.empty());
}

RendezvousPlan PlanRendezvous(const View& view, const JobState& job,
                              const std::string& token) {
  if (!HoldsSlots(job.state)) return Wait("");
  switch (job.generation.phase) {
    case Phase::kOpened:
      return PlanOpened(view, job, token);
    case Phase::kStarted:
      return PlanStarted(view, job);
    case Phase::kNone:
    case Phase::kEnded:
      return PlanEnded(view, job);
  }
  return Wait("");
}

}  // namespace lory::coordinator
