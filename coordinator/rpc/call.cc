#include "coordinator/rpc/call.h"

#include "common/rpc/status_convert.h"

namespace lory::coordinator {

grpc::Status Finish(CallObserver* observer, absl::string_view method,
                    const absl::Status& status) {
  const grpc::Status wire = rpc::ToGrpc(status);
  if (observer != nullptr) observer->Answered(method, wire.error_code());
  return wire;
}

}  // namespace lory::coordinator
