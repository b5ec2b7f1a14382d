#ifndef LORY_TESTS_SUPPORT_FAKE_TRAINER_CONTROL_STREAM_H_
#define LORY_TESTS_SUPPORT_FAKE_TRAINER_CONTROL_STREAM_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "lory/internal/v1/trainer.grpc.pb.h"

namespace lory::testing {

// A trainer's stream to its daemon, opened again whenever it breaks.
// Thread-safe.
class ControlStream {
 public:
  // `on_order` hears of every new assignment, in a thread of the stream.
  ControlStream(const std::string& socket, lory::v1::TrainerStatus status,
                std::function<void(const lory::v1::Assignment&)> on_order);
  ~ControlStream() = delete;  // lives as long as the process

  // Changes the status that is reported.
  void Update(const std::function<void(lory::v1::TrainerStatus&)>& change);
  // Blocks until what was reported so far has left the process.
  void Flush() const;
  void AddPart(const lory::v1::CommitCheckpointRequest& part);
  // Counts as getting on.
  void Tick();

  // The newest assignment.
  lory::v1::Assignment Newest() const;
  // Every round of `generation` that was ever assigned, by id.
  std::map<int64_t, lory::v1::Round> RoundsOf(int64_t generation) const;
  // Blocks until the assignment changes, for at most `timeout`.
  void WaitForChange(const lory::v1::Assignment& known,
                     absl::Duration timeout) const;

 private:
  void AttendForever();
  void ReadAll(
      grpc::ClientReaderWriter<lory::internal::v1::TrainerReport,
                               lory::internal::v1::TrainerOrder>* stream);

  const std::function<void(const lory::v1::Assignment&)> on_order_;
  const std::unique_ptr<lory::internal::v1::TrainerService::Stub> daemon_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  lory::v1::TrainerStatus status_ ABSL_GUARDED_BY(mutex_);
  std::vector<lory::v1::CommitCheckpointRequest> parts_ ABSL_GUARDED_BY(mutex_);
  int64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t version_written_ ABSL_GUARDED_BY(mutex_) = -1;
  int64_t ticks_ ABSL_GUARDED_BY(mutex_) = 0;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  lory::v1::Assignment newest_ ABSL_GUARDED_BY(mutex_);
  int64_t rounds_generation_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<int64_t, lory::v1::Round> rounds_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_FAKE_TRAINER_CONTROL_STREAM_H_
