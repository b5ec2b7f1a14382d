#include "common/base/stop_signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>

#include "common/base/check.h"

namespace lory {

int StopSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const int fd = ::signalfd(-1, &signals, SFD_CLOEXEC);
  LORY_CHECK(fd >= 0);  // or nothing could stop the program
  return fd;
}

void IgnoreFileSizeSignal() { ::signal(SIGXFSZ, SIG_IGN); }

void WaitUntilReadable(int fd) {
  pollfd waited = {.fd = fd, .events = POLLIN, .revents = 0};
  while (::poll(&waited, 1, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace lory
