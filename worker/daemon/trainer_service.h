#ifndef LORY_WORKER_DAEMON_TRAINER_SERVICE_H_
#define LORY_WORKER_DAEMON_TRAINER_SERVICE_H_

#include <functional>
#include <string>

#include "lory/internal/v1/trainer.grpc.pb.h"
#include "worker/daemon/trainer_table.h"

namespace lory::daemon {

// The daemon's side of its trainers' streams, on a Unix socket. Thread-safe.
class TrainerService final
    : public lory::internal::v1::TrainerService::Service {
 public:
  // Gets every checkpoint part that a trainer says is written, and whose it
  // is; called from many threads. A part may come twice.
  using PartSink =
      std::function<void(const std::string& incarnation,
                         const lory::v1::CommitCheckpointRequest& part)>;

  TrainerService(TrainerTable& table, PartSink parts)
      : table_(table), parts_(std::move(parts)) {}

  grpc::Status Attend(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<lory::internal::v1::TrainerOrder,
                               lory::internal::v1::TrainerReport>* stream)
      override;

 private:
  TrainerTable& table_;
  const PartSink parts_;
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_TRAINER_SERVICE_H_
