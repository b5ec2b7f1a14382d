#ifndef LORY_COORDINATOR_PLAN_CHECKPOINT_PLAN_H_
#define LORY_COORDINATOR_PLAN_CHECKPOINT_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/plan/plan_options.h"

// Decides when a job takes its next checkpoint, and which parts make one.
//
// Pure: reads no clock, takes no lock, touches no disk. The caller passes the
// time in and carries the answer out, so every case is a row in a table test.
namespace lory::coordinator {

// When the job's owner wants checkpoints. Unset rules do not apply; with none
// set the interval is chosen from what was measured (YoungInterval).
struct CheckpointPolicy {
  std::optional<int64_t> every_steps = {};
  std::optional<absl::Duration> every = {};
};

// What is known about a job's checkpoints at one moment.
struct CheckpointHistory {
  int64_t last_step = 0;                // newest committed; 0: none yet
  absl::Time last_time;                 // when that was, or the job's start
  absl::Duration cost;                  // training stood still per checkpoint
  absl::Duration mean_time_to_failure;  // of the whole job, smoothed
};

struct CheckpointDecision {
  bool take = false;
  std::string reason;  // one sentence for people; `loryctl job explain`
};

// The interval that loses least time: sqrt(2 * cost * mean time to failure),
// J. W. Young, CACM 17(9), 1974. Never shorter than ten times the cost, so
// that checkpoints take at most a tenth of the run however often it fails.
absl::Duration YoungInterval(absl::Duration cost,
                             absl::Duration mean_time_to_failure);

// Whether to take a checkpoint after `applied_step`. Never twice at one step.
CheckpointDecision PlanCheckpoint(absl::Time now, int64_t applied_step,
                                  const CheckpointHistory& history,
                                  const CheckpointPolicy& policy);

// The same for a running job. The rule by steps is left to its trainers, who
// all see the same step; what it orders is by time, or by cost and failures.
CheckpointDecision PlanCheckpointOrder(const View& view, const JobState& job);

// A checkpoint that the newest generation restores, and a member cannot read.
struct UnreadableCheckpoint {
  std::string name;
  SlotKey by;
  std::string error;  // the member's
};

// Nothing, if nobody says so, or if it was written anew since.
std::optional<UnreadableCheckpoint> FindUnreadable(const View& view,
                                                   const JobState& job);

// What becomes of a reported part.
struct PartDecision {
  enum class Kind {
    kAnswer,   // nothing to do: answer with `checkpoint`
    kCollect,  // keep it; answer WRITING
  };
  Kind kind = Kind::kAnswer;
  lory::v1::Checkpoint checkpoint;  // of kAnswer
};

// A checkpoint whose parts were all in before its generation ended may still be
// committed, as long as no newer generation has gone back behind its step.
//
// NOT_FOUND: no such job. INVALID_ARGUMENT: names or numbers that cannot be,
// or another content than a part already in. FAILED_PRECONDITION,
// GENERATION_FENCED: its generation has ended.
absl::StatusOr<PartDecision> PlanPart(
    const View& view, const lory::v1::CommitCheckpointRequest& request);

// The event for a checkpoint that could not be written, unless it is told
// already, or a newer one is. `tried_again`: it is not given up, and the event
// says so.
Plan CheckpointFailure(const JobState& job,
                       const lory::v1::FailedCheckpoint& failed,
                       bool tried_again);

// That of the newest one that a member reports and that is not told yet.
Plan PlanCheckpointFailure(const View& view, const JobState& job);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_CHECKPOINT_PLAN_H_
