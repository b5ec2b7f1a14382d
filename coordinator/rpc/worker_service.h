#ifndef LORY_COORDINATOR_RPC_WORKER_SERVICE_H_
#define LORY_COORDINATOR_RPC_WORKER_SERVICE_H_

#include "coordinator/engine/coordinator.h"
#include "coordinator/rpc/call.h"
#include "lory/v1/worker.grpc.pb.h"

namespace lory::coordinator {

// WorkerService on the wire: Attend in the callback API, so that a thousand
// daemons need no thousand threads; the rest plain. Thread-safe.
class WorkerServiceRpc final
    : public lory::v1::WorkerService::WithCallbackMethod_Attend<
          lory::v1::WorkerService::Service> {
 public:
  WorkerServiceRpc(Coordinator& coordinator, CallObserver* observer)
      : coordinator_(coordinator), observer_(observer) {}

  grpc::ServerBidiReactor<lory::v1::AttendRequest, lory::v1::AttendResponse>*
  Attend(grpc::CallbackServerContext* context) override;

  grpc::Status CommitCheckpoint(
      grpc::ServerContext*, const lory::v1::CommitCheckpointRequest* request,
      lory::v1::Checkpoint* response) override;

 private:
  Coordinator& coordinator_;
  CallObserver* const observer_;
};

// WorkerAdminService on the wire. Thread-safe.
class WorkerAdminServiceRpc final
    : public lory::v1::WorkerAdminService::Service {
 public:
  WorkerAdminServiceRpc(Coordinator& coordinator, CallObserver* observer)
      : coordinator_(coordinator), observer_(observer) {}

  grpc::Status ListWorkers(grpc::ServerContext*,
                           const lory::v1::ListWorkersRequest* request,
                           lory::v1::ListWorkersResponse* response) override;
  grpc::Status GetWorker(grpc::ServerContext*,
                         const lory::v1::GetWorkerRequest* request,
                         lory::v1::Worker* response) override;
  grpc::Status DrainWorker(grpc::ServerContext*,
                           const lory::v1::WorkerVerbRequest* request,
                           lory::v1::Worker* response) override;
  grpc::Status UndrainWorker(grpc::ServerContext*,
                             const lory::v1::WorkerVerbRequest* request,
                             lory::v1::Worker* response) override;
  grpc::Status DeleteWorker(grpc::ServerContext*,
                            const lory::v1::WorkerVerbRequest* request,
                            lory::v1::Worker* response) override;

 private:
  Coordinator& coordinator_;
  CallObserver* const observer_;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_RPC_WORKER_SERVICE_H_
