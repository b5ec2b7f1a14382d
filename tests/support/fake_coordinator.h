#ifndef LORY_TESTS_SUPPORT_FAKE_COORDINATOR_H_
#define LORY_TESTS_SUPPORT_FAKE_COORDINATOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/rpc/server.h"
#include "lory/v1/worker.grpc.pb.h"

namespace lory::testing {

// The daemons' half of a coordinator, told by the test what to say. Speaks
// with one daemon at a time. Thread-safe.
class FakeCoordinator final : public v1::WorkerService::Service {
 public:
  FakeCoordinator();
  ~FakeCoordinator() override;

  // Host:port; the same after every Start.
  const std::string& address() const { return address_; }
  void Start();
  // Breaks all streams and refuses connections.
  void Stop();

  // What comes with the next session.
  void SetTerms(const v1::WorkerSession& terms);
  void SetDesired(std::vector<v1::Assignment> assignments);
  // Ends every stream at its hello with this status; OK: none.
  void SetRefusal(const absl::Status& refusal);
  // Answers CommitCheckpoint.
  void SetCommit(std::function<absl::StatusOr<v1::Checkpoint>(
                     const v1::CommitCheckpointRequest&)>
                     commit);

  // Blocks until the newest report of trainers satisfies `is_so`; nothing:
  // that did not happen in 20 s.
  using Trainers = std::vector<v1::TrainerStatus>;
  std::optional<Trainers> WaitFor(
      const std::function<bool(const Trainers&)>& is_so);
  // The same, for one trainer; returns it.
  std::optional<v1::TrainerStatus> WaitForTrainer(
      const std::function<bool(const v1::TrainerStatus&)>& is_so);

  v1::WorkerHello hello() const;
  int hello_count() const;
  std::vector<v1::CommitCheckpointRequest> commits() const;

  grpc::Status Attend(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::AttendResponse, v1::AttendRequest>* stream)
      override;
  grpc::Status CommitCheckpoint(grpc::ServerContext* context,
                                const v1::CommitCheckpointRequest* request,
                                v1::Checkpoint* response) override;

 private:
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<rpc::Server> server_;
  mutable Mutex mutex_;
  CondVar changed_;
  int64_t stream_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  v1::WorkerSession terms_ ABSL_GUARDED_BY(mutex_);
  v1::DesiredState desired_ ABSL_GUARDED_BY(mutex_);
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);
  std::function<
      absl::StatusOr<v1::Checkpoint>(const v1::CommitCheckpointRequest&)>
      commit_ ABSL_GUARDED_BY(mutex_);
  v1::WorkerHello hello_ ABSL_GUARDED_BY(mutex_);
  int hello_count_ ABSL_GUARDED_BY(mutex_) = 0;
  Trainers trainers_ ABSL_GUARDED_BY(mutex_);
  int64_t news_ ABSL_GUARDED_BY(mutex_) = 0;  // reports and commits so far
  std::vector<v1::CommitCheckpointRequest> commits_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_FAKE_COORDINATOR_H_
