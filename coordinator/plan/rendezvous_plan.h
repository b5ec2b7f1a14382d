#ifndef LORY_COORDINATOR_PLAN_RENDEZVOUS_PLAN_H_
#define LORY_COORDINATOR_PLAN_RENDEZVOUS_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/plan/member_health.h"
#include "coordinator/plan/plan_options.h"

// Who trains together: when a generation opens, starts and ends, and whose
// state it starts from. docs/protocol.md, "Generations".
namespace lory::coordinator {

struct RendezvousPlan : Plan {
  // Trainers that did not answer: to be ended before their slot is used again.
  std::vector<SlotKey> condemned;
};

// The next change of the job's generation, if any; `reason` says what it waits
// for otherwise. `token`: a fresh secret for a generation that starts.
RendezvousPlan PlanRendezvous(const View& view, const JobState& job,
                              const std::string& token);

// Where a generation starts.
struct StartChoice {
  int64_t start_step = 0;
  int source_rank = -1;                   // -1: nobody has the state
  int64_t restored_checkpoint_step = -1;  // -1: from the seed
  std::vector<int> odd_ranks;             // hold another state at that step
};

// What a member answered to PREPARE. Steps of members that were not in the
// newest started generation do not count: -1.
struct PreparedState {
  int64_t applied_step = -1;
  std::string digest;
};

// The highest applied step; among those who hold it the digest of the
// majority, even: that of the lowest rank. A checkpoint beyond it wins: what
// is committed is never undone. `checkpoint_step`: newest committed; -1: none.
StartChoice ChooseStart(const std::vector<PreparedState>& prepared,
                        int64_t checkpoint_step);

// Members of a generation that would be opened now: those that are there
// already by rank, then joiners; at most the job's maximum.
std::vector<SlotKey> Candidates(const View& view, const JobState& job,
                                bool with_draining);

// Trainers below which the job has no generation.
int MinWorkers(const View& view, const JobState& job);
// Told to checkpoint and stop: a person's pause, or its slots are wanted.
bool IsStopping(const View& view, const JobState& job);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_RENDEZVOUS_PLAN_H_
