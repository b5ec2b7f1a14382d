#ifndef LORY_COMMON_RPC_SERVER_H_
#define LORY_COMMON_RPC_SERVER_H_

#include <grpcpp/server.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/credentials.h"

namespace lory::rpc {

// A running gRPC server with health (NOT_SERVING until SetServing), reflection,
// and limits on message, metadata, streams and threads. Thread-safe.
class Server {
 public:
  struct Options {
    std::string address;  // host:port, port 0: any; or unix:path
    TlsFiles tls;
    int64_t max_message_bytes = 4 << 20;
    // Calls that are answered at one time, about; others get
    // RESOURCE_EXHAUSTED. Callback services take no thread each.
    int max_threads = 256;
  };

  // Starts serving `services`, which must outlive the server.
  //
  // UNAVAILABLE: the port is taken; the message names it and says what to do.
  // Otherwise as ServerCredentialsFor.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const Options& options, const std::vector<grpc::Service*>& services);

  // Shuts down if Shutdown was not called.
  ~Server();

  // host:port with the real port.
  const std::string& address() const { return address_; }

  // What the health service answers for "" and "readiness"; "liveness" is
  // always SERVING.
  void SetServing(bool serving);

  // Refuses new calls, lets running ones end for at most `grace`, then cancels
  // them. Blocks until all are gone.
  void Shutdown(absl::Duration grace);

 private:
  Server() = default;

  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace lory::rpc

#endif  // LORY_COMMON_RPC_SERVER_H_
