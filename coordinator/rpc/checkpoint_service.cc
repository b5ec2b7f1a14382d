#include "coordinator/rpc/checkpoint_service.h"

namespace lory::coordinator {

grpc::Status CheckpointServiceRpc::GetCheckpoint(
    grpc::ServerContext*, const lory::v1::GetCheckpointRequest* request,
    lory::v1::Checkpoint* response) {
  return Finish(observer_, "GetCheckpoint",
                coordinator_.GetCheckpoint(request->name()), response);
}

grpc::Status CheckpointServiceRpc::ListCheckpoints(
    grpc::ServerContext*, const lory::v1::ListCheckpointsRequest* request,
    lory::v1::ListCheckpointsResponse* response) {
  return Finish(observer_, "ListCheckpoints",
                coordinator_.ListCheckpoints(*request), response);
}

grpc::Status CheckpointServiceRpc::DeleteCheckpoint(
    grpc::ServerContext*, const lory::v1::DeleteCheckpointRequest* request,
    lory::v1::Checkpoint* response) {
  return Finish(observer_, "DeleteCheckpoint",
                coordinator_.DeleteCheckpoint(*request), response);
}

grpc::Status CheckpointServiceRpc::VerifyCheckpoint(
    grpc::ServerContext*, const lory::v1::GetCheckpointRequest* request,
    lory::v1::Checkpoint* response) {
  return Finish(observer_, "VerifyCheckpoint",
                coordinator_.VerifyCheckpoint(*request), response);
}

}  // namespace lory::coordinator
