#ifndef LORY_COORDINATOR_RPC_CHECKPOINT_SERVICE_H_
#define LORY_COORDINATOR_RPC_CHECKPOINT_SERVICE_H_

#include "coordinator/engine/coordinator.h"
#include "coordinator/rpc/call.h"
#include "lory/v1/checkpoint.grpc.pb.h"

namespace lory::coordinator {

// CheckpointService on the wire. Thread-safe.
class CheckpointServiceRpc final : public lory::v1::CheckpointService::Service {
 public:
  CheckpointServiceRpc(Coordinator& coordinator, CallObserver* observer)
      : coordinator_(coordinator), observer_(observer) {}

  grpc::Status GetCheckpoint(grpc::ServerContext*,
                             const lory::v1::GetCheckpointRequest* request,
                             lory::v1::Checkpoint* response) override;
  grpc::Status ListCheckpoints(
      grpc::ServerContext*, const lory::v1::ListCheckpointsRequest* request,
      lory::v1::ListCheckpointsResponse* response) override;
  grpc::Status DeleteCheckpoint(
      grpc::ServerContext*, const lory::v1::DeleteCheckpointRequest* request,
      lory::v1::Checkpoint* response) override;
  grpc::Status VerifyCheckpoint(grpc::ServerContext*,
                                const lory::v1::GetCheckpointRequest* request,
                                lory::v1::Checkpoint* response) override;

 private:
  Coordinator& coordinator_;
  CallObserver* const observer_;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_RPC_CHECKPOINT_SERVICE_H_
