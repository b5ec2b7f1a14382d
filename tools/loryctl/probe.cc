#include "tools/loryctl/probe.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "common/base/address.h"

namespace lory::ctl {
namespace {

constexpr int kPatienceMilliseconds = 1000;

bool Connects(const addrinfo& info) {
  const int file = socket(info.ai_family,
                          info.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (file < 0) return false;
  const absl::Cleanup close_file = [file] { close(file); };
  if (connect(file, info.ai_addr, info.ai_addrlen) == 0) return true;
  pollfd waiting = {.fd = file, .events = POLLOUT, .revents = 0};
  if (poll(&waiting, 1, kPatienceMilliseconds) != 1) return false;
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(file, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
         error == 0;
}

}  // namespace

bool AcceptsConnections(const std::string& address) {
  const HostPort parts = SplitHostPort(address);
  if (parts.port.empty()) return false;
  const addrinfo hints = {.ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  if (getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &found) !=
      0) {
    return false;
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (Connects(*info)) return true;
  }
  return false;
}

}  // namespace lory::ctl
