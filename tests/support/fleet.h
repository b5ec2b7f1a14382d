#ifndef LORY_TESTS_SUPPORT_FLEET_H_
#define LORY_TESTS_SUPPORT_FLEET_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/engine/coordinator.h"
#include "coordinator/engine/memory_journal.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_storage.h"

// Daemons and trainers without processes, wires or time: they do what
// docs/protocol.md says, one move at a time, against a real Coordinator. A
// trainer's "model" is the chain of the samples it trained, so that one lost
// or repeated sample shows in a single number.
namespace lory::testing {

// What a trainer would keep in memory.
struct FleetState {
  int64_t applied_step = -1;  // -1: none
  std::string chain;          // sample digest
  auto operator<=>(const FleetState&) const = default;
};

struct FleetTrainer {
  std::string incarnation;
  lory::v1::Assignment order;  // the newest
  lory::v1::TrainerStatus::Phase phase = lory::v1::TrainerStatus::STARTING;
  int64_t generation = 0;  // the newest it was told of
  int64_t running = 0;     // the one it trains in; 0: none
  bool connected = false;  // all peers of `running` were met
  bool left = false;       // told by a peer to leave `running`
  FleetState state;
  lory::v1::Round round;  // being trained
  int64_t failed_rank = -1;
  int64_t checkpoint_order = 0;
  // Newest part it wrote: generation and step.
  std::pair<int64_t, int64_t> written = {0, -1};
  int start_moves = 0;    // it is STARTING for so many moves
  std::string complaint;  // reported as an error it can live with
  // The newest checkpoint that it could not write.
  std::optional<lory::v1::FailedCheckpoint> failed_checkpoint;
  int busy_moves = 0;    // it evaluates for so many moves, between steps
  int64_t progress = 0;  // counter
};

// Whether it applies steps, or waits for a round to.
bool IsTraining(const FleetTrainer& trainer);

struct FleetDaemon {
  std::string name;  // without workers/
  int slots = 1;
  std::string incarnation;
  bool alive = true;
  bool cut_off = false;        // no message passes to or from the coordinator
  std::string unfit;           // not empty: why every trainer here fails
  bool unfit_for_good = true;  // or may do better next time
  bool diverges = false;       // that is the job's fault
  int64_t stream = 0;          // 0: not attached
  std::shared_ptr<class FleetSink> sink;
  lory::v1::DesiredState desired;
  bool has_desired = false;
  std::map<int32_t, FleetTrainer> trainers;
  std::vector<lory::v1::TrainerStatus> ended;            // not reported yet
  std::vector<lory::v1::CommitCheckpointRequest> parts;  // to be committed
};

// One applied step on one rank: a line of the trace.
struct TraceLine {
  int64_t generation = 0;
  std::string chain;
  std::vector<int> shares;
};

class Fleet {
 public:
  struct Options {
    coordinator::PlanOptions plan;
    int64_t sequence_count = 50;
    int start_moves = 1;
  };

  Fleet() : Fleet(Options()) {}
  explicit Fleet(Options options);
  ~Fleet();

  // ---- the world ----
  void AddWorker(const std::string& name, int slots = 1);
  coordinator::Coordinator& core() { return *core_; }
  coordinator::MemoryJournal& journal() { return journal_; }
  MemoryStorage& storage() { return storage_; }
  FakeClock& clock() { return clock_; }
  std::map<std::string, FleetDaemon>& daemons() { return daemons_; }

  // A job over the fleet's dataset: `workers` at least and at most.
  static lory::v1::JobSpec Spec(int min_workers, int max_workers,
                                int64_t steps = 20);
  absl::StatusOr<lory::v1::Job> Submit(const std::string& id,
                                       lory::v1::JobSpec spec);
  lory::v1::Job Job(const std::string& id);

  // ---- faults ----
  void KillTrainer(const std::string& worker, int slot = 0);
  void KillDaemon(const std::string& worker);
  void ReviveDaemon(const std::string& worker);
  // The stream breaks; the daemon reconnects at its next move.
  void BreakStream(const std::string& worker);
  void CutOff(const std::string& worker, bool cut_off);
  // In the next step of this job only these ranks apply; the others fail.
  void FailNextStep(const std::string& id, std::set<int> appliers);
  // The coordinator dies without a word; StartCoordinator brings it back.
  void CrashCoordinator();
  void StartCoordinator();
  bool coordinator_up() const { return core_ != nullptr; }

  // ---- moves ----
  void MoveDaemon(FleetDaemon& daemon);   // obey, report
  void MoveTrainers();                    // connect, step, break
  void CommitParts(FleetDaemon& daemon);  // one try for each waiting part
  // All daemons and trainers once, then `time` passes and the core ticks.
  void Round(absl::Duration time = absl::Milliseconds(100));
  // Rounds until `done`; false: not within `most` rounds.
  template <typename Done>
  bool RunUntil(Done done, int most = 600) {
    for (int i = 0; i < most; ++i) {
      if (done()) return true;
      Round();
    }
    return done();
  }
  bool RunUntilState(const std::string& id, lory::v1::Job::State state,
                     int most = 600);

  // ---- what must be true ----
  // Chain that a run without faults has after `steps`.
  std::string FaultlessChain(const lory::v1::JobSpec& spec,
                             int64_t steps) const;
  // Empty, or what is wrong: the chain of every line that counts, and of every
  // committed checkpoint, must be the faultless one; no step may be missing.
  std::string Audit(const std::string& id);
  // Empty, or the invariant of the coordinator's state that does not hold.
  // Also compares with a replay of the journal.
  std::string CheckInvariants();

 private:
  struct Member {
    FleetDaemon* daemon;
    FleetTrainer* trainer;
    int32_t slot;
  };

  void Attach(FleetDaemon& daemon);
  void Obey(FleetDaemon& daemon);
  void Order(FleetDaemon& daemon, const lory::v1::Assignment& assignment);
  lory::v1::AttendRequest Report(FleetDaemon& daemon, bool hello);
  void EndTrainer(FleetDaemon& daemon, int32_t slot, int exit_status);
  void AnswerPrepare(FleetTrainer& trainer);
  void MoveGeneration(std::vector<Member>& members);
  void Connect(std::vector<Member>& members);
  void Break(std::vector<Member>& members, int lost_rank);
  // Control words: leave, stop, checkpoint. False: no step may follow.
  bool Agree(std::vector<Member>& members);
  void Step(std::vector<Member>& members);
  // False: the disk is full; to be tried again.
  bool WritePart(Member& member);
  std::string CheckTrace(const std::string& job, const lory::v1::JobSpec& spec);
  std::string Extend(const lory::v1::JobSpec& spec, const std::string& chain,
                     int64_t step, const std::vector<int>& shares) const;

  const Options options_;
  FakeClock clock_;
  MemoryStorage storage_;
  coordinator::MemoryJournal journal_;
  std::unique_ptr<coordinator::Coordinator> core_;
  std::map<std::string, FleetDaemon> daemons_;
  // Lines by job, step.
  std::map<std::string, std::multimap<int64_t, TraceLine>> traces_;
  // Lines of generations up to this go to files that were deleted with their
  // job, by job.
  std::map<std::string, int64_t> deleted_up_to_;
  std::map<std::string, std::set<int>> step_faults_;  // by job
  int64_t next_incarnation_ = 1;
  std::optional<coordinator::CoordinatorState> checked_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_FLEET_H_
