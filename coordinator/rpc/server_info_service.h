#ifndef LORY_COORDINATOR_RPC_SERVER_INFO_SERVICE_H_
#define LORY_COORDINATOR_RPC_SERVER_INFO_SERVICE_H_

#include "common/base/clock.h"
#include "coordinator/rpc/call.h"
#include "lory/v1/server_info.grpc.pb.h"

namespace lory::coordinator {

// ServerInfoService on the wire. Thread-safe. `observer` may be null; both
// outlive the service.
class ServerInfoServiceRpc final : public lory::v1::ServerInfoService::Service {
 public:
  ServerInfoServiceRpc(Clock& clock, CallObserver* observer)
      : clock_(clock), observer_(observer) {}

  grpc::Status GetServerInfo(grpc::ServerContext*,
                             const lory::v1::GetServerInfoRequest*,
                             lory::v1::ServerInfo* response) override;

 private:
  Clock& clock_;
  CallObserver* const observer_;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_RPC_SERVER_INFO_SERVICE_H_
