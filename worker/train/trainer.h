#ifndef LORY_WORKER_TRAIN_TRAINER_H_
#define LORY_WORKER_TRAIN_TRAINER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/io/storage.h"
#include "worker/checkpoint/checkpoint_writer.h"
#include "worker/collective/communicator.h"
#include "worker/train/control_board.h"
#include "worker/train/job_context.h"
#include "worker/train/training_loop.h"
#include "worker/train/training_state.h"

namespace lory::train {

// A trainer's life: it follows the newest order through any number of
// generations and keeps the state between them. docs/protocol.md, "A trainer's
// life". Runs on the thread that calls Run.
class Trainer {
 public:
  // `trace_name` is "<worker>-<slot>"; for `check_first_bytes` see OpenJob. All
  // references must outlive the trainer.
  Trainer(std::string trace_name, ControlBoard& board,
          lory::collective::Transport& transport, lory::io::Storage& storage,
          Clock& clock, int64_t check_first_bytes = kCheckFirstBytes);
  ~Trainer();

  // Blocks until the board is closed (OK), or until an error that ends the
  // trainer, which is then reported as FAILED.
  absl::Status Run();

 private:
  absl::Status Follow(const ControlBoard::Order& order);
  absl::Status Open(const lory::v1::Assignment& assignment);
  // Leaves the old generation and listens for the new one.
  absl::Status Prepare(const lory::v1::Assignment& assignment);
  // Trains the prepared generation until it ends.
  absl::Status RunGeneration(const ControlBoard::Order& order);
  // Brings the state to where the generation starts, as far as this rank can do
  // it alone; then meets the peers and makes all states equal.
  absl::Status RestoreState(const lory::v1::Assignment& assignment);
  // The state before the first step.
  absl::Status BeginState(const lory::v1::Assignment& assignment);
  absl::Status ReadCheckpoint(const lory::v1::Checkpoint& checkpoint);
  absl::Status Connect(const ControlBoard::Order& order);
  absl::Status ShareState(const lory::v1::Assignment& assignment);
  absl::Status Train();

  // What to do about an error in a generation: OK if it can be outlived.
  absl::Status Outlive(const absl::Status& status);
  void ForgetGeneration();

  const std::string trace_name_;
  const int64_t check_first_bytes_;
  ControlBoard& board_;
  lory::collective::Transport& transport_;
  lory::io::Storage& storage_;
  Clock& clock_;

  std::unique_ptr<JobContext> job_;
  std::unique_ptr<lory::checkpoint::CheckpointWriter> checkpoints_;
  std::optional<TrainingState> state_;
  LoopMemory memory_;
  bool warm_ = false;

  int64_t generation_ = 0;  // newest prepared
  bool ran_ = false;        // whether that one was run
  std::unique_ptr<lory::collective::Listener> listener_;
  // Kept after a failure until the next generation, so that peers who still
  // wait are not told that this rank is gone.
  std::unique_ptr<lory::collective::Communicator> communicator_;
};

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_TRAINER_H_
