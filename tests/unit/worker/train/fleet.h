#ifndef LORY_TESTS_UNIT_WORKER_TRAIN_FLEET_H_
#define LORY_TESTS_UNIT_WORKER_TRAIN_FLEET_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/io/storage.h"
#include "lory/v1/worker.pb.h"
#include "tests/support/temporary_folder.h"
#include "worker/collective/communicator.h"
#include "worker/train/control_board.h"
#include "worker/train/trainer.h"

// Real trainers in threads of this process, ordered about by a scripted
// coordinator: no gRPC, no processes.
namespace lory::train {

// A job small enough for a unit test: width 32, 2 layers, 4 experts, L 64,
// T 16.
lory::v1::JobSpec TinySpec(int64_t step_count);

// Text a model can learn in a few steps: each sequence counts upwards, from
// its own start. Returns the manifest's path.
std::string WriteCountingDataset(const std::string& folder, int64_t sequences);

// A trainer on its thread.
struct Member {
  Member(int slot, lory::collective::Transport& transport,
         lory::io::Storage& storage,
         int64_t check_first_bytes = kCheckFirstBytes);
  // Ends the trainer as if it were killed, apart from the thread.
  ~Member();

  // The newest status for which `done` holds; fails the test if none comes.
  lory::v1::TrainerStatus Await(
      const std::function<bool(const lory::v1::TrainerStatus&)>& done);
  lory::v1::TrainerStatus AwaitPhase(lory::v1::TrainerStatus::Phase phase);
  lory::v1::TrainerStatus AwaitStep(int64_t step);

  ControlBoard board;
  lory::v1::Assignment assignment;  // as last posted
  Trainer trainer;
  absl::Status result;
  std::jthread thread;
};

// A job's folder and data, and its members' orders.
class Fleet {
 public:
  explicit Fleet(lory::v1::JobSpec spec,
                 lory::io::Storage& storage = lory::io::LocalStorage());

  // Starts a trainer in STANDBY; its index. With `transport` it meets its
  // peers through that one instead of a TCP ring.
  Member& Add(lory::collective::Transport* transport = nullptr,
              int64_t check_first_bytes = kCheckFirstBytes);

  // Opens a generation of `members`, in rank order: PREPARE, then RUN from the
  // state that the most advanced one holds, with a round over `round_steps`.
  // With `checkpoint` and no living state, from that.
  void Start(const std::vector<Member*>& members, int64_t round_steps,
             bool urgent = false,
             const lory::v1::Checkpoint* checkpoint = nullptr);
  // PREPARE alone; the members' digests afterwards tell their states apart.
  void Prepare(const std::vector<Member*>& members, bool urgent = false);

  // What members added from now on begin from in place of the seed.
  void BeginFrom(const lory::v1::Checkpoint& checkpoint) {
    initial_ = checkpoint;
  }

  // Posts `change` of its order to each of the newest generation.
  void Order(const std::function<void(lory::v1::Assignment&)>& change);
  void GrantRound(int64_t id, int64_t first_step, int64_t step_count);

  // The checkpoint of a step, put together from the parts that were reported.
  lory::v1::Checkpoint CheckpointAt(int64_t step, int part_count);

  int64_t generation() const { return generation_; }
  const lory::v1::JobSpec& spec() const { return spec_; }
  const lory::testing::TemporaryFolder& folder() const { return folder_; }
  // The chain that a run without faults has after `steps`.
  std::string FaultlessChain(int64_t steps) const;

 private:
  void Post(Member& member, const lory::v1::Assignment& assignment);
  lory::v1::Round MakeRound(int64_t id, int64_t first, int64_t count) const;

  const lory::testing::TemporaryFolder folder_;
  const lory::v1::JobSpec spec_;
  lory::io::Storage& storage_;
  std::unique_ptr<lory::collective::Transport> ring_;
  int64_t generation_ = 0;
  std::optional<lory::v1::Checkpoint> initial_;
  std::vector<Member*> members_;  // of the newest generation
  std::vector<std::unique_ptr<Member>> all_;
};

}  // namespace lory::train

#endif  // LORY_TESTS_UNIT_WORKER_TRAIN_FLEET_H_
