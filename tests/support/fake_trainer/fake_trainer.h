#ifndef LORY_TESTS_SUPPORT_FAKE_TRAINER_FAKE_TRAINER_H_
#define LORY_TESTS_SUPPORT_FAKE_TRAINER_FAKE_TRAINER_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "lory/v1/worker.pb.h"
#include "tests/support/fake_trainer/control_stream.h"
#include "tests/support/fake_trainer/fake_model.h"
#include "worker/collective/communicator.h"

namespace lory::testing {

// A trainer as docs/protocol.md has it, with real processes, connections,
// collectives, checkpoints and traces, but with FakeState for a model. What
// goes wrong is asked for by labels of the job:
//   fake-step-ms       how long a step takes, all micro-batches; default 20
//   fake-exit-at-step  exits with status 3 before it applies that step
//   fake-hang-at-step  stands still before it applies that step
//   fake-fail          reports FAILED, permanently, with this text
class FakeTrainer {
 public:
  struct Options {
    std::string socket;
    std::string job;
    int32_t slot = 0;
    std::string incarnation;
    std::string listen_host;
    std::string worker;
  };

  explicit FakeTrainer(const Options& options);

  [[noreturn]] void Run();

 private:
  // What one rank tells all others with every reduction.
  struct Words {
    bool leave = false;
    bool stop = false;
    int64_t checkpoint_order = 0;
    int64_t newest_round = 0;
    uint64_t sum = 0;  // fingerprints
    std::string Serialize() const;
    static Words Parse(const std::string& text);
  };
  enum class Next { kGoOn, kLeave };

  void Load(const lory::v1::Assignment& assignment);
  void Prepare(const lory::v1::Assignment& assignment);
  void RunGeneration(const lory::v1::Assignment& assignment);
  absl::Status Meet(const lory::v1::Assignment& assignment);
  absl::Status ShareState(const lory::v1::Assignment& assignment);
  absl::Status TrainUntilLeave(const lory::v1::Assignment& assignment);
  absl::StatusOr<Next> Reduce(const lory::v1::Assignment& assignment);
  void Apply(const lory::v1::Assignment& assignment,
             const std::vector<Words>& all);
  void CheckpointIfDue(const lory::v1::Assignment& assignment,
                       const Words& told, bool applied);
  void WriteTrace(const std::vector<Words>& all);
  void ReportProgress();
  void ReportBroken(const absl::Status& status);
  void Misbehave(const lory::v1::JobSpec& spec);
  void OnOrder(const lory::v1::Assignment& assignment);
  void SetPhase(lory::v1::TrainerStatus::Phase phase);

  const Options options_;
  ControlStream& stream_;
  int64_t sequence_count_ = 0;
  std::optional<FakeState> state_;
  int64_t generation_ = 0;  // prepared last
  lory::v1::Round round_;   // in use; id 0: none yet
  int64_t checkpoint_order_ = 0;
  int64_t last_checkpoint_step_ = -1;
  double learned_seconds_ = 0;

  Mutex mutex_;
  // Aborted from the stream's thread.
  std::shared_ptr<collective::Listener> listener_ ABSL_GUARDED_BY(mutex_);
  int64_t listener_generation_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<collective::Communicator> communicator_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_FAKE_TRAINER_FAKE_TRAINER_H_
