#include "coordinator/rpc/server_info_service.h"

#include "coordinator/state/names.h"

namespace lory::coordinator {

grpc::Status ServerInfoServiceRpc::GetServerInfo(
    grpc::ServerContext*, const lory::v1::GetServerInfoRequest*,
    lory::v1::ServerInfo* response) {
  response->set_version(LORY_VERSION);
  *response->mutable_time() = TimestampOf(clock_.WallNow());
  return Finish(observer_, "GetServerInfo", absl::OkStatus());
}

}  // namespace lory::coordinator
