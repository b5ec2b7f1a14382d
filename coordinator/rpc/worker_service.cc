#include "coordinator/rpc/worker_service.h"

#include "coordinator/rpc/attend_stream.h"

namespace lory::coordinator {

grpc::ServerBidiReactor<lory::v1::AttendRequest, lory::v1::AttendResponse>*
WorkerServiceRpc::Attend(grpc::CallbackServerContext*) {
  return AttendStream::Start(coordinator_, observer_);
}

grpc::Status WorkerServiceRpc::CommitCheckpoint(
    grpc::ServerContext*, const lory::v1::CommitCheckpointRequest* request,
    lory::v1::Checkpoint* response) {
  return Finish(observer_, "CommitCheckpoint",
                coordinator_.CommitCheckpoint(*request), response);
}

grpc::Status WorkerAdminServiceRpc::ListWorkers(
    grpc::ServerContext*, const lory::v1::ListWorkersRequest* request,
    lory::v1::ListWorkersResponse* response) {
  return Finish(observer_, "ListWorkers", coordinator_.ListWorkers(*request),
                response);
}

grpc::Status WorkerAdminServiceRpc::GetWorker(
    grpc::ServerContext*, const lory::v1::GetWorkerRequest* request,
    lory::v1::Worker* response) {
  return Finish(observer_, "GetWorker", coordinator_.GetWorker(request->name()),
                response);
}

grpc::Status WorkerAdminServiceRpc::DrainWorker(
    grpc::ServerContext*, const lory::v1::WorkerVerbRequest* request,
    lory::v1::Worker* response) {
  return Finish(observer_, "DrainWorker", coordinator_.DrainWorker(*request),
                response);
}

grpc::Status WorkerAdminServiceRpc::UndrainWorker(
    grpc::ServerContext*, const lory::v1::WorkerVerbRequest* request,
    lory::v1::Worker* response) {
  return Finish(observer_, "UndrainWorker",
                coordinator_.UndrainWorker(*request), response);
}

grpc::Status WorkerAdminServiceRpc::DeleteWorker(
    grpc::ServerContext*, const lory::v1::WorkerVerbRequest* request,
    lory::v1::Worker* response) {
  return Finish(observer_, "DeleteWorker", coordinator_.DeleteWorker(*request),
                response);
}

}  // namespace lory::coordinator
