#ifndef LORY_WORKER_DAEMON_CONTROL_SERVICE_H_
#define LORY_WORKER_DAEMON_CONTROL_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "lory/v1/control.grpc.pb.h"
#include "worker/daemon/coordinator_session.h"
#include "worker/daemon/trainer_table.h"

namespace lory::daemon {

// What a daemon answers to people and to the coordinator. Thread-safe.
class ControlService final : public lory::v1::WorkerControlService::Service {
 public:
  // `worker_id` and `slot_count` are the daemon's.
  ControlService(const std::string& worker_id, int32_t slot_count,
                 const std::string& log_folder, const TrainerTable& table,
                 const CoordinatorSession& session,
                 lory::v1::WorkerAdminService::StubInterface& coordinator,
                 Clock& clock);

  // What GetStatus says of the host; it names ports, so it comes later.
  void SetDescription(const lory::v1::WorkerDescription& description);

  // Ends running StreamLogs calls soon.
  void Close() { closed_ = true; }

  grpc::Status GetStatus(grpc::ServerContext* context,
                         const lory::v1::GetStatusRequest* request,
                         lory::v1::Worker* response) override;
  grpc::Status Drain(grpc::ServerContext* context,
                     const lory::v1::DrainRequest* request,
                     lory::v1::Worker* response) override;
  grpc::Status StreamLogs(
      grpc::ServerContext* context,
      const lory::v1::StreamJobLogsRequest* request,
      grpc::ServerWriter<lory::v1::LogChunk>* writer) override;
  grpc::Status Profile(grpc::ServerContext* context,
                       const lory::v1::ProfileRequest* request,
                       lory::v1::ProfileResponse* response) override;
  grpc::Status DumpStacks(grpc::ServerContext* context,
                          const lory::v1::DumpStacksRequest* request,
                          lory::v1::DumpStacksResponse* response) override;

 private:
  // Slots that have a log of the job.
  std::vector<int32_t> SlotsWithLog(const std::string& job) const;

  const std::string name_;  // workers/{worker}
  const int32_t slot_count_;
  const std::string log_folder_;
  const TrainerTable& table_;
  const CoordinatorSession& session_;
  lory::v1::WorkerAdminService::StubInterface& coordinator_;
  Clock& clock_;
  std::atomic<bool> closed_ = false;
  Mutex mutex_;
  lory::v1::WorkerDescription description_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_CONTROL_SERVICE_H_
