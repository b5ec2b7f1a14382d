#include "coordinator/plan/desired_state.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/plan/rendezvous_plan.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Assignment;
using Phase = GenerationState::Phase;

// Whether the process in a member's slot is the member, not one that replaced
// it.
bool IsMember(const View& view, const JobState& job, const SlotKey& key,
              const std::string& bound) {
  const lory::v1::TrainerStatus* status =
      view.sessions.FindTrainer(key, job.name);
  return status != nullptr && !bound.empty() && status->incarnation() == bound;
}

void FillPrepare(const JobState& job, int rank, Assignment& assignment) {
  assignment.set_phase(Assignment::PREPARE);
  assignment.set_generation(job.generation.number);
  assignment.set_rank(rank);
  assignment.set_world_size(static_cast<int>(job.generation.members.size()));
  assignment.set_urgent(job.generation.urgent);
}

void FillRun(const View& view, const JobState& job, int rank,
             Assignment& assignment) {
  const StartedGeneration& started = job.started;
  assignment.set_phase(Assignment::RUN);
  assignment.set_generation(started.number);
  assignment.set_rank(rank);
  assignment.set_world_size(static_cast<int>(started.members.size()));
  for (const std::string& endpoint : started.peer_endpoints) {
    assignment.add_peer_endpoints(endpoint);
  }
  assignment.set_collective_token(started.collective_token);
  assignment.set_start_step(started.start_step);
  assignment.set_source_rank(started.source_rank);
  if (started.source_rank < 0 && started.restored_checkpoint_step >= 0) {
    const auto found = job.checkpoints.find(started.restored_checkpoint_step);
    if (found != job.checkpoints.end()) {
      *assignment.mutable_checkpoint() = found->second;
    }
  }
  const JobRun* run = view.sessions.FindRun(job.name);
  if (run == nullptr) return;
  if (run->started == started.number && run->round.id() > 0) {
    *assignment.mutable_round() = run->round;
  }
  assignment.set_checkpoint_order(run->checkpoint_order);
}

Assignment AssignmentOf(const View& view, const JobState& job,
                        const SlotKey& key, const std::string& storage_root) {
  Assignment assignment;
  assignment.set_job(job.name);
  assignment.set_slot(key.slot);
  *assignment.mutable_spec() = job.spec;
  assignment.set_job_folder(JobFolder(storage_root, job.name));
  if (job.initial_checkpoint) {
    *assignment.mutable_initial_checkpoint() = *job.initial_checkpoint;
  }
  const auto dataset = view.state.datasets.find(job.spec.dataset());
  if (dataset != view.state.datasets.end()) {
    assignment.set_dataset_manifest_path(dataset->second.manifest_path());
    assignment.set_dataset_manifest_sha256(dataset->second.manifest_sha256());
  }
  assignment.set_phase(Assignment::STANDBY);
  const JobRun* run = view.sessions.FindRun(job.name);
  const int rank = job.generation.RankOf(key);
  const int old_rank = job.started.RankOf(key);
  const auto bound = [&](int at, bool newest) -> std::string {
    if (run == nullptr) return "";
    const std::vector<std::string>& members =
        newest ? run->members : run->started_members;
    const bool fits = newest ? run->generation == job.generation.number
                             : run->started == job.started.number;
    return fits ? members[static_cast<size_t>(at)] : "";
  };
  if (rank >= 0 && IsMember(view, job, key, bound(rank, true))) {
    if (job.generation.number == job.started.number) {
      FillRun(view, job, rank, assignment);
    } else {
      FillPrepare(job, rank, assignment);
    }
  } else if (old_rank >= 0 && job.generation.number != job.started.number &&
             IsMember(view, job, key, bound(old_rank, false))) {
    // Left out of the generation that opens: it goes on until its peers leave
    // after a step, or until that generation starts without it.
    FillRun(view, job, old_rank, assignment);
  }
  if (IsStopping(view, job)) {
    assignment.set_stop(Assignment::AFTER_CHECKPOINT);
  }
  return assignment;
}

}  // namespace

std::string JobFolder(const std::string& storage_root, const std::string& job) {
  return absl::StrCat(storage_root, "/", job);
}

bool IsWithin(const std::string& path, const std::string& folder) {
  return path == folder || absl::StartsWith(path, absl::StrCat(folder, "/"));
}

lory::v1::DesiredState PlanDesiredState(const View& view,
                                        const std::string& worker,
                                        const std::string& storage_root) {
  lory::v1::DesiredState desired;
  for (auto it = view.sessions.leases.lower_bound({worker, 0});
       it != view.sessions.leases.end() && it->first.worker == worker; ++it) {
    const JobState* job = view.state.FindJob(it->second);
    if (job == nullptr) continue;
    *desired.add_assignments() =
        AssignmentOf(view, *job, it->first, storage_root);
  }
  return desired;
}

}  // namespace lory::coordinator
