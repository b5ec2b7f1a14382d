#ifndef LORY_WORKER_COLLECTIVE_RING_TRANSPORT_H_
#define LORY_WORKER_COLLECTIVE_RING_TRANSPORT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/collective/communicator.h"

namespace lory::collective {

// Rings of TCP connections: what trains on CPUs, within a host and between
// hosts. Thread-safe.
class RingTransport final : public Transport {
 public:
  // `host` is this machine's address or name as the peers know it. Without
  // `share_memory` bytes go through the connections even within a host.
  explicit RingTransport(std::string host, bool share_memory = true)
      : host_(std::move(host)), share_memory_(share_memory) {}

  // UNAVAILABLE or INVALID_ARGUMENT: `host` is not an address of this machine.
  absl::StatusOr<std::unique_ptr<Listener>> Listen() override;

 private:
  const std::string host_;
  const bool share_memory_;
};

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_RING_TRANSPORT_H_
