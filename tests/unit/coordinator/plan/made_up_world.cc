#include "tests/unit/coordinator/plan/made_up_world.h"

#include "absl/strings/str_cat.h"

namespace lory::coordinator {

using ::lory::v1::Job;
using ::lory::v1::TrainerStatus;
using Phase = GenerationState::Phase;

SlotKey Slot(const std::string& name, int slot) {
  return {absl::StrCat("workers/", name), slot};
}

MadeUpWorld::MadeUpWorld() { sessions.started = now - absl::Hours(1); }

WorkerSession& MadeUpWorld::AddWorker(const std::string& name, int slots) {
  const std::string full = absl::StrCat("workers/", name);
  WorkerSession& worker = sessions.workers[full];
  worker.name = full;
  worker.incarnation = absl::StrCat("daemon-", name);
  worker.description.set_slot_count(slots);
  worker.stream_open = true;
  worker.reported = true;
  worker.last_heard = now;
  worker.stream_opened = sessions.started;
  return worker;
}

JobState& MadeUpWorld::AddJob(const std::string& name, Job::State job_state,
                              int min_workers, int max_workers) {
  const std::string full = absl::StrCat("jobs/", name);
  JobState& job = state.jobs[full];
  job.name = full;
  job.create_order = static_cast<int64_t>(state.jobs.size());
  job.state = job_state;
  job.reason = "as the test wants it";
  job.spec.set_dataset("datasets/demo");
  job.spec.set_min_workers(min_workers);
  job.spec.set_max_workers(max_workers);
  job.spec.set_micro_batch_count(4);
  job.spec.set_step_count(100);
  return job;
}

TrainerStatus& MadeUpWorld::PutTrainer(const SlotKey& key, const JobState& job,
                                       TrainerStatus::Phase phase,
                                       int64_t generation,
                                       int64_t applied_step) {
  TrainerStatus& status = sessions.workers[key.worker].trainers[key.slot];
  if (status.incarnation().empty()) {
    status.set_incarnation(absl::StrCat("trainer-", next_incarnation_++));
  }
  status.set_job(job.name);
  status.set_slot(key.slot);
  status.set_phase(phase);
  status.set_generation(generation);
  status.set_applied_step(applied_step);
  status.set_failed_rank(-1);
  if (phase == TrainerStatus::PREPARED) {
    status.set_listen_endpoint(absl::StrCat("127.0.0.1:", key.slot + 1));
    status.set_state_digest(absl::StrCat("state-", applied_step));
  }
  sessions.leases[key] = job.name;
  return status;
}

void MadeUpWorld::Open(JobState& job, const std::vector<SlotKey>& members) {
  ++job.generation.number;
  job.generation.phase = Phase::kOpened;
  job.generation.members = members;
  job.generation.reason = "the test opens it";
  for (const SlotKey& key : members) sessions.leases[key] = job.name;
  Follow(job);
}

void MadeUpWorld::Start(JobState& job, const std::vector<SlotKey>& members,
                        int64_t step) {
  Open(job, members);
  job.generation.phase = Phase::kStarted;
  job.started = {.number = job.generation.number, .members = members};
  for (const SlotKey& key : members) {
    PutTrainer(key, job, TrainerStatus::TRAINING, job.generation.number, step);
  }
  Follow(job);
}

void MadeUpWorld::End(JobState& job, bool by_fault) {
  job.generation.phase = Phase::kEnded;
  job.generation.ended_by_fault = by_fault;
}

void MadeUpWorld::Commit(JobState& job, int64_t step) {
  lory::v1::Checkpoint& checkpoint = job.checkpoints[step];
  checkpoint.set_step(step);
  checkpoint.set_state(lory::v1::Checkpoint::COMMITTED);
}

void MadeUpWorld::Follow(const JobState& job) { FollowJob(job, now, sessions); }

}  // namespace lory::coordinator
