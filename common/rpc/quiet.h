#ifndef LORY_COMMON_RPC_QUIET_H_
#define LORY_COMMON_RPC_QUIET_H_

namespace lory::rpc {

// Sends what the gRPC library would print on stderr to our log, at level
// debug: what it calls errors are mostly refused connections, which callers
// hear of as a Status anyway. May be called again and again.
void QuietGrpc();

}  // namespace lory::rpc

#endif  // LORY_COMMON_RPC_QUIET_H_
