#ifndef LORY_COMMON_RPC_CHANNEL_H_
#define LORY_COMMON_RPC_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/credentials.h"

namespace lory::rpc {

// A channel to `address` with the project's keepalive, limits and reconnect
// back-off (0.1 s to 1 s, so that an outage ends soon after its cause).
// Connects lazily; does not block. Errors as ChannelCredentialsFor.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(
    const std::string& address, const TlsFiles& tls);

}  // namespace lory::rpc

#endif  // LORY_COMMON_RPC_CHANNEL_H_
