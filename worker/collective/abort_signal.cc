#include "worker/collective/abort_signal.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "common/base/check.h"

namespace lory::collective {

AbortSignal::AbortSignal() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  LORY_CHECK(event_.get() >= 0);
}

void AbortSignal::Raise() {
  raised_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  // Fails only when the counter is full, and then it is raised already.
  [[maybe_unused]] const ssize_t written =
      write(event_.get(), &one, sizeof(one));
}

}  // namespace lory::collective
