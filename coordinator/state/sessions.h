#ifndef LORY_COORDINATOR_STATE_SESSIONS_H_
#define LORY_COORDINATOR_STATE_SESSIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/state/coordinator_state.h"
#include "lory/v1/job.pb.h"
#include "lory/v1/worker.pb.h"

// What the coordinator knows of the moment: who attends, what trainers say,
// who holds which slot and which round. Plain data, not in the journal: after
// a restart it comes back from the daemons' reports. All times are monotonic.
namespace lory::coordinator {

// A daemon's registration.
struct WorkerSession {
  std::string name;         // workers/{worker}
  std::string incarnation;  // of the daemon's process
  int64_t stream = 0;       // grows with every stream; the newest counts
  lory::v1::WorkerDescription description;

  bool stream_open = false;
  absl::Time last_heard;
  absl::Time stream_opened;
  absl::Time stream_broken;  // when it last broke
  std::string broken_reason;
  absl::Time last_heard_wall;  // for people

  // No trainers in its hello means that it has none: its process is new.
  bool fresh = false;
  // Whether a report of its trainers has come in this stream.
  bool reported = false;
  std::map<int32_t, lory::v1::TrainerStatus> trainers;  // by slot; not EXITED
  std::map<int32_t, lory::v1::TrainerStatus> ended;     // newest end, by slot
  // When the progress counter of the trainer in a slot was last seen to move.
  std::map<int32_t, absl::Time> moved;
};

// The moving parts of a job that holds slots, or did a moment ago.
struct JobRun {
  // A slot that failed for good, or again and again before it trained, where
  // others did not: its host is not fit for this job. Until its daemon is
  // started anew, or the job is paused; where the error was not for good
  // also no longer than until `end`.
  struct Bar {
    std::string daemon;  // incarnation
    std::string error;
    bool for_good = true;  // the error, not that no trainer started
    absl::Time end = absl::InfiniteFuture();
    bool told = false;  // an event says so
  };
  std::map<SlotKey, Bar> barred;
  // Trainers in a row that ended by themselves in a slot before a generation
  // took them.
  struct FailedStarts {
    std::string daemon;  // incarnation
    int count = 0;
    absl::Time last;
  };
  std::map<SlotKey, FailedStarts> failed_starts;

  // Processes that are the members of the newest generation, by rank; empty:
  // not known yet.
  int64_t generation = 0;
  std::vector<std::string> members;
  // Of the newest started generation: whose state counts.
  int64_t started = 0;
  std::vector<std::string> started_members;

  // The newest round granted to the newest started generation; id 0: none.
  lory::v1::Round round;

  int64_t checkpoint_order = 0;
  absl::Time last_checkpoint;  // ordered or committed, or the start
  int64_t last_checkpoint_step = 0;

  // Highest applied step heard of, and when it grew.
  int64_t highest_step = -1;
  absl::Time progress_time;
  // Highest applied step ever: steps trained again after a loss of all state
  // are no progress.
  int64_t furthest_step = -1;
  lory::v1::JobProgress progress;  // the newest of rank 0
  double step_seconds = 0;         // of the newest step; 0: unknown

  // A generation one of whose members cannot read the checkpoint that it
  // restores, although the coordinator can; 0: none.
  int64_t whole_for = 0;
  // Why the coordinator could not look at it either; empty: it could.
  std::string look_failure;

  // Times that trainers ended by themselves since the last progress. One event,
  // such as the loss of a rack, may end many at once, or each while the others
  // prepare to go on without it: ends count once for each generation that
  // started, and again when one comes from a slot that is in the count already.
  int exits_without_progress = 0;
  int64_t failed_generation = -1;  // of the newest that was counted
  std::set<SlotKey> failed_slots;  // that ended in it
  std::string last_error;
  // Not empty: the job must fail, for nobody is left who could do better.
  std::string permanent_error;
  bool error_is_of_job = false;  // it would come again on any host

  absl::Time opened_time;  // when the newest generation was opened
  // First BROKEN member of it; InfiniteFuture: none.
  absl::Time broken_time = absl::InfiniteFuture();
  // First READY trainer that is no member of it; InfiniteFuture: none.
  absl::Time joiner_time = absl::InfiniteFuture();
  absl::Time waiting_since = absl::InfiniteFuture();  // for slots
  // Told to checkpoint and give its slots back; the reason, or empty.
  std::string evicted;
};

// Parts of a checkpoint that is not committed yet.
struct PendingCheckpoint {
  std::string folder;
  std::string sample_digest;
  std::map<int32_t, lory::v1::CheckpointPart> parts;  // by index
  bool writing = false;  // the manifest is being written
  absl::Time last_part;
};
struct PendingKey {
  std::string job;
  int64_t step = 0;
  int64_t generation = 0;
  auto operator<=>(const PendingKey&) const = default;
};

struct Sessions {
  absl::Time started;                            // when this coordinator began
  std::map<std::string, WorkerSession> workers;  // by name
  std::map<SlotKey, std::string> leases;         // slot -> job
  std::map<std::string, JobRun> runs;            // by job
  std::map<PendingKey, PendingCheckpoint> pending;
  // Datasets whose manifest is not as registered, with the reason.
  std::map<std::string, std::string> missing_datasets;
  // Processes that did not answer and must end before their slot is free.
  std::map<SlotKey, std::string> condemned;

  const WorkerSession* FindWorker(const std::string& name) const;
  // What the trainer in a slot reported last, if it is of `job`.
  const lory::v1::TrainerStatus* FindTrainer(const SlotKey& key,
                                             const std::string& job) const;
  const JobRun* FindRun(const std::string& job) const;
  std::vector<SlotKey> LeasesOf(const std::string& job) const;
};

// The bar that keeps a slot's present daemon from `job`; null: none.
const JobRun::Bar* FindBar(const Sessions& sessions, const SlotKey& key,
                           const std::string& job);

// A process that is gone or useless: EXITED or FAILED.
bool HasEnded(const lory::v1::TrainerStatus& status);

// Has a model to train: READY or later, and not ended.
bool IsUp(const lory::v1::TrainerStatus& status);

// What a daemon's message changes in its session and in the jobs it names. A
// hello without trainers says nothing about them yet.
void Observe(const CoordinatorState& state, absl::Time now,
             const std::string& worker, const lory::v1::AttendRequest& message,
             Sessions& sessions);

// After a restart: slots of living generations, and of those that ended while
// their job still held them, are taken before the daemons come back, so that
// nobody else gets them.
void LeaseMembers(const CoordinatorState& state, Sessions& sessions);

// Brings the run of `job` in line with the journal and with what its trainers
// said: who its members are, how far they got.
void FollowJob(const JobState& job, absl::Time now, Sessions& sessions);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_STATE_SESSIONS_H_
