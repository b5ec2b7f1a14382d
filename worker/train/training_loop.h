#ifndef LORY_WORKER_TRAIN_TRAINING_LOOP_H_
#define LORY_WORKER_TRAIN_TRAINING_LOOP_H_

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "worker/checkpoint/checkpoint_writer.h"
#include "worker/collective/communicator.h"
#include "worker/train/control_board.h"
#include "worker/train/control_words.h"
#include "worker/train/job_context.h"
#include "worker/train/progress_meter.h"
#include "worker/train/round_book.h"
#include "worker/train/train_step.h"
#include "worker/train/training_state.h"

namespace lory::train {

// What outlives a generation beside the state.
struct LoopMemory {
  int64_t checkpoint_acted = 0;  // newest checkpoint demand acted on
  double stall_seconds = 0;      // training stood still for checkpoints
  int64_t stall_count = 0;
  ProgressMeter meter;
};

// The training of one generation, from a state that all ranks hold to the
// moment they part: the loop. Thread-compatible.
class TrainingLoop {
 public:
  enum class End {
    kLeft,      // told to prepare another generation
    kStopped,   // as ordered, after a checkpoint
    kFinished,  // the last step is applied, evaluated and checkpointed
  };

  // All references must outlive the loop; `state` is the ranks' common one.
  TrainingLoop(JobContext& job, int64_t generation, ControlBoard& board,
               lory::collective::Communicator& communicator,
               lory::checkpoint::CheckpointWriter& checkpoints, Clock& clock,
               LoopMemory& memory, TrainingState& state);

  // Blocks until the end. UNAVAILABLE, DEADLINE_EXCEEDED or ABORTED: the ranks
  // lost each other, the state is whole and goes on in another generation. Any
  // other error ends the trainer.
  absl::StatusOr<End> Run();

 private:
  // One step of the current round, or one exchange of words while no round is
  // held by all. What they decided.
  absl::StatusOr<Decision> Step();
  absl::StatusOr<Decision> Wait();
  // FAILED_PRECONDITION, DIVERGED: too many steps in a row were not finite, or
  // all that the job has.
  absl::Status CheckUpdates() const;

  // Takes in the newest order.
  void Absorb();
  ControlWord Word() const;
  int64_t OwnShare() const;
  // Begins the next round when it is time.
  absl::Status AdvanceRounds(const Decision& decision);

  // Snapshots this rank's part and has it written. What fails is reported; the
  // next checkpoint tries again.
  void Checkpoint(const Decision& decision);
  // Has a part of the present state written, and the lines about it, again and
  // again if it must, and waits for it. False: told to prepare another
  // generation first.
  bool SecureState(const Decision& decision);
  absl::Status Evaluate();
  absl::StatusOr<End> Finish();

  void ReportStep(const ReducedStep& reduced, const StepResult& result,
                  const StepReport& step);
  void ReportPhase(lory::v1::TrainerStatus::Phase phase);

  JobContext& job_;
  const int64_t generation_;
  ControlBoard& board_;
  lory::collective::Communicator& communicator_;
  lory::checkpoint::CheckpointWriter& checkpoints_;
  Clock& clock_;
  LoopMemory& memory_;
  TrainingState& state_;

  RoundBook rounds_;
  int64_t order_seen_ = 0;
  bool leave_ = false;
  bool stop_ = false;
  int64_t checkpoint_held_ = 0;
  bool checkpoint_due_ = false;    // put off while another is being written
  int64_t share_begin_ = 0;        // this rank's first micro-batch
  double checkpoint_seconds_ = 0;  // stall since the last step
};

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_TRAINING_LOOP_H_
