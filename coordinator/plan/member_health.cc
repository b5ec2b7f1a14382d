#include "coordinator/plan/member_health.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::internal::v1::GenerationEnded;
using ::lory::v1::TrainerStatus;
using Kind = MemberHealth::Kind;

// Whether another member says that a collective failed at `rank`.
bool Accused(const View& view, const JobState& job, int rank) {
  const GenerationState& generation = job.generation;
  for (size_t other = 0; other < generation.members.size(); ++other) {
    const TrainerStatus* status =
        view.sessions.FindTrainer(generation.members[other], job.name);
    if (status != nullptr && status->phase() == TrainerStatus::BROKEN &&
        status->generation() == generation.number &&
        status->failed_rank() == rank && static_cast<int>(other) != rank) {
      return true;
    }
  }
  return false;
}

MemberHealth Lost(const SlotKey& key, GenerationEnded::Cause cause,
                  absl::string_view why) {
  return {Kind::kLost, absl::StrCat(ToString(key), " ", why), nullptr, cause};
}

// What its own daemon said: the process that was the member is no more.
std::string ProvenEnd(const WorkerSession& worker, const SlotKey& key,
                      const JobState& job, const std::string& bound,
                      const TrainerStatus* status) {
  const auto ended = worker.ended.find(key.slot);
  if (ended != worker.ended.end() && ended->second.job() == job.name &&
      (bound.empty() ? status == nullptr
                     : ended->second.incarnation() == bound)) {
    return absl::StrCat(
        "ended: ",
        ended->second.error().empty()
            ? absl::StrCat("exit status ", ended->second.exit_status())
            : ended->second.error());
  }
  if (status == nullptr) return "has no trainer any more";
  if (HasEnded(*status)) return absl::StrCat("failed: ", status->error());
  if (!bound.empty() && status->incarnation() != bound) {
    return "has a new trainer instead of the member";
  }
  if (job.generation.Is(GenerationState::Phase::kStarted) &&
      status->generation() < job.generation.number) {
    return "has a new trainer that knows nothing of the generation";
  }
  return "";
}

}  // namespace

MemberHealth HealthOf(const View& view, const JobState& job, int rank) {
  const SlotKey& key = job.generation.members[static_cast<size_t>(rank)];
  const WorkerSession* worker = view.sessions.FindWorker(key.worker);
  const bool grace = view.now - view.sessions.started < view.options.lease;
  if (worker == nullptr) {
    if (!grace) {
      return Lost(key, GenerationEnded::SILENCE,
                  "did not come back after the restart");
    }
    return {Kind::kUnknown, absl::StrCat(ToString(key), " has not reported"),
            nullptr};
  }
  const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
  const JobRun* run = view.sessions.FindRun(job.name);
  const bool bound_known =
      run != nullptr && run->generation == job.generation.number;
  const std::string bound =
      bound_known ? run->members[static_cast<size_t>(rank)] : "";
  if (worker->reported) {
    std::string proof = ProvenEnd(*worker, key, job, bound, status);
    if (!proof.empty()) return Lost(key, GenerationEnded::EXIT, proof);
  }
  std::vector<std::string> signs;
  if (!worker->stream_open) signs.push_back("its daemon's stream is broken");
  if (view.now - worker->last_heard > view.options.lease) {
    signs.push_back(absl::StrCat("nothing was heard of it for ",
                                 ShortDuration(view.now - worker->last_heard)));
  }
  if (Accused(view, job, rank)) {
    signs.push_back("a peer's collective failed at it");
  }
  if (signs.size() >= 2) {
    return Lost(key, GenerationEnded::SILENCE, absl::StrJoin(signs, ", and "));
  }
  if (signs.empty()) {
    if (worker->reported) return {Kind::kAlive, "", status};
    return {Kind::kUnknown, absl::StrCat(ToString(key), " has not reported"),
            nullptr};
  }
  return {Kind::kSuspected, absl::StrCat(ToString(key), ": ", signs[0]),
          status};
}

std::vector<MemberHealth> HealthOfAll(const View& view, const JobState& job) {
  std::vector<MemberHealth> all;
  for (size_t rank = 0; rank < job.generation.members.size(); ++rank) {
    all.push_back(HealthOf(view, job, static_cast<int>(rank)));
  }
  return all;
}

bool Attends(const View& view, const std::string& worker) {
  const WorkerSession* session = view.sessions.FindWorker(worker);
  return session != nullptr && session->stream_open && session->reported &&
         view.now - session->last_heard <= view.options.lease;
}

bool IsAway(const View& view, const std::string& worker) {
  const WorkerSession* session = view.sessions.FindWorker(worker);
  return session != nullptr && !session->stream_open &&
         !WorkerLost(view, worker);
}

bool WorkerLost(const View& view, const std::string& worker) {
  const WorkerSession* session = view.sessions.FindWorker(worker);
  if (session == nullptr) {
    return view.now - view.sessions.started >= view.options.lease;
  }
  return !session->stream_open &&
         view.now - session->last_heard > view.options.lease;
}

}  // namespace lory::coordinator
