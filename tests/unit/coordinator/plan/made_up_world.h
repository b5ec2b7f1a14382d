#ifndef LORY_TESTS_UNIT_COORDINATOR_PLAN_MADE_UP_WORLD_H_
#define LORY_TESTS_UNIT_COORDINATOR_PLAN_MADE_UP_WORLD_H_

#include <string>
#include <vector>

#include "coordinator/plan/plan_options.h"

// State and sessions written by hand, for tests of one plan at a time: what
// would take a fleet many moves to come to. Nothing in it checks that the
// state could come to be.
namespace lory::coordinator {

struct MadeUpWorld {
  MadeUpWorld();

  View view() const { return {now, state, sessions, options}; }

  // A daemon that attends and has reported. `name` without workers/.
  WorkerSession& AddWorker(const std::string& name, int slots = 1);
  // `name` without jobs/.
  JobState& AddJob(const std::string& name, lory::v1::Job::State job_state,
                   int min_workers = 1, int max_workers = 1);
  // A trainer of `job` as its daemon reported it, and its lease.
  lory::v1::TrainerStatus& PutTrainer(const SlotKey& key, const JobState& job,
                                      lory::v1::TrainerStatus::Phase phase,
                                      int64_t generation = 0,
                                      int64_t applied_step = -1);
  // The job's next generation, with trainers that are told of it.
  void Open(JobState& job, const std::vector<SlotKey>& members);
  // The same, and it trains: every member has applied `step`.
  void Start(JobState& job, const std::vector<SlotKey>& members,
             int64_t step = 10);
  // The newest generation ends.
  void End(JobState& job, bool by_fault);
  void Commit(JobState& job, int64_t step);
  // What the coordinator does before it plans.
  void Follow(const JobState& job);

  absl::Time now = absl::FromUnixSeconds(1'000'000);
  CoordinatorState state;
  Sessions sessions;
  PlanOptions options;

 private:
  int next_incarnation_ = 1;
};

// Slot 0, or another, of workers/`name`.
SlotKey Slot(const std::string& name, int slot = 0);

}  // namespace lory::coordinator

#endif  // LORY_TESTS_UNIT_COORDINATOR_PLAN_MADE_UP_WORLD_H_
