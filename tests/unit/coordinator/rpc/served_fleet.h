#ifndef LORY_TESTS_UNIT_COORDINATOR_RPC_SERVED_FLEET_H_
#define LORY_TESTS_UNIT_COORDINATOR_RPC_SERVED_FLEET_H_

#include <grpcpp/client_context.h>

#include <map>
#include <memory>
#include <string>

#include "common/base/mutex.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/rpc/status_convert.h"
#include "coordinator/rpc/checkpoint_service.h"
#include "coordinator/rpc/dataset_service.h"
#include "coordinator/rpc/job_service.h"
#include "coordinator/rpc/server_info_service.h"
#include "coordinator/rpc/worker_service.h"
#include "tests/support/fleet.h"

namespace lory::coordinator {

// Counts answers by method and code.
class CountingObserver final : public CallObserver {
 public:
  void Answered(absl::string_view method, grpc::StatusCode code) override {
    MutexLock lock(&mutex_);
    ++counts_[{std::string(method), code}];
  }
  int count(const std::string& method, grpc::StatusCode code) {
    MutexLock lock(&mutex_);
    return counts_[{method, code}];
  }

 private:
  Mutex mutex_;
  std::map<std::pair<std::string, grpc::StatusCode>, int> counts_
      ABSL_GUARDED_BY(mutex_);
};

// Every service of a coordinator behind a real server, and a channel to it.
struct ServedFleet {
  ServedFleet();
  ~ServedFleet();

  template <typename Service>
  std::unique_ptr<typename Service::Stub> Stub() {
    return Service::NewStub(channel);
  }

  // One unary call; `answer` may be null.
  template <typename StubType, typename Request, typename Response>
  absl::Status Call(grpc::Status (StubType::*method)(grpc::ClientContext*,
                                                     const Request&, Response*),
                    StubType& stub, const Request& request, Response* answer) {
    grpc::ClientContext context;
    Response response;
    const absl::Status status =
        rpc::FromGrpc((stub.*method)(&context, request, &response));
    if (answer != nullptr) *answer = std::move(response);
    return status;
  }

  testing::Fleet fleet;
  CountingObserver observer;
  JobServiceRpc jobs{fleet.core(), &observer, {}, /*max_streams=*/3};
  DatasetServiceRpc datasets{fleet.core(), &observer};
  CheckpointServiceRpc checkpoints{fleet.core(), &observer};
  WorkerServiceRpc workers{fleet.core(), &observer};
  WorkerAdminServiceRpc worker_admin{fleet.core(), &observer};
  ServerInfoServiceRpc server_info{fleet.clock(), &observer};
  std::unique_ptr<rpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
};

}  // namespace lory::coordinator

#endif  // LORY_TESTS_UNIT_COORDINATOR_RPC_SERVED_FLEET_H_
