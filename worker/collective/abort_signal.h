#ifndef LORY_WORKER_COLLECTIVE_ABORT_SIGNAL_H_
#define LORY_WORKER_COLLECTIVE_ABORT_SIGNAL_H_

#include <atomic>

#include "worker/collective/socket.h"

namespace lory::collective {

// A flag that also wakes poll(). Once raised it stays so. Thread-safe.
class AbortSignal {
 public:
  AbortSignal();

  void Raise();
  bool raised() const { return raised_.load(std::memory_order_acquire); }

  // Readable once raised.
  int fd() const { return event_.get(); }

 private:
  FileDescriptor event_;
  std::atomic<bool> raised_ = false;
};

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_ABORT_SIGNAL_H_
