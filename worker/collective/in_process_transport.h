#ifndef LORY_WORKER_COLLECTIVE_IN_PROCESS_TRANSPORT_H_
#define LORY_WORKER_COLLECTIVE_IN_PROCESS_TRANSPORT_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/collective/communicator.h"

namespace lory::collective {

// Ranks that are threads of one process, for tests: same contract as the ring,
// no sockets. Ranks of one generation must use one transport. Thread-safe.
class InProcessTransport final : public Transport {
 public:
  InProcessTransport();
  ~InProcessTransport() override;

  absl::StatusOr<std::unique_ptr<Listener>> Listen() override;

  // Where the ranks of a generation meet; defined in the source.
  class Exchange;

 private:
  const std::shared_ptr<Exchange> exchange_;
};

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_IN_PROCESS_TRANSPORT_H_
