#ifndef LORY_COMMON_RPC_STATUS_CONVERT_H_
#define LORY_COMMON_RPC_STATUS_CONVERT_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

// absl::Status inside the process, grpc::Status on the wire. The ErrorDetail
// of a status (common/base/error_detail.h) travels in the details.
namespace lory::rpc {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace lory::rpc

#endif  // LORY_COMMON_RPC_STATUS_CONVERT_H_
