#include "worker/collective/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/address.h"
#include "common/base/status_macros.h"

namespace lory::collective {
namespace {

using AddressList = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

absl::Status SystemError(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

absl::StatusOr<AddressList> Resolve(const std::string& host,
                                    const std::string& port, bool passive) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("resolving ", host, ": ", gai_strerror(error)));
  }
  return AddressList(found, freeaddrinfo);
}

FileDescriptor NewSocket(int family) {
  return FileDescriptor(
      socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    Reset();
    fd_ = other.Release();
  }
  return *this;
}

int FileDescriptor::Release() { return std::exchange(fd_, -1); }

void FileDescriptor::Reset() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

absl::StatusOr<FileDescriptor> ListenOn(const std::string& host) {
  LORY_ASSIGN_OR_RETURN(const AddressList addresses, Resolve(host, "0", true));
  FileDescriptor listener = NewSocket(addresses->ai_family);
  if (!listener.valid()) return SystemError("making a socket");
  if (bind(listener.get(), addresses->ai_addr, addresses->ai_addrlen) != 0 ||
      listen(listener.get(), 64) != 0) {
    return SystemError(absl::StrCat("listening on ", host));
  }
  return listener;
}

absl::StatusOr<std::string> EndpointOf(const FileDescriptor& listener,
                                       const std::string& host) {
  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address),
                  &length) != 0) {
    return SystemError("asking for the port");
  }
  const in_port_t port =
      address.ss_family == AF_INET6
          ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
          : reinterpret_cast<const sockaddr_in&>(address).sin_port;
  return JoinHostPort(host, absl::StrCat(ntohs(port)));
}

absl::StatusOr<FileDescriptor> BeginConnect(const std::string& endpoint) {
  const HostPort address = SplitHostPort(endpoint);
  if (address.host.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint '", endpoint, "' is not host:port"));
  }
  LORY_ASSIGN_OR_RETURN(const AddressList addresses,
                        Resolve(address.host, address.port, false));
  FileDescriptor socket = NewSocket(addresses->ai_family);
  if (!socket.valid()) return SystemError("making a socket");
  if (connect(socket.get(), addresses->ai_addr, addresses->ai_addrlen) != 0 &&
      errno != EINPROGRESS) {
    return SystemError(absl::StrCat("connecting to ", endpoint));
  }
  return socket;
}

absl::Status ConnectResult(const FileDescriptor& socket) {
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error == 0) return absl::OkStatus();
  return absl::UnavailableError(strerror(error));
}

absl::StatusOr<FileDescriptor> Accept(const FileDescriptor& listener) {
  FileDescriptor socket(
      accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  // A connection that ended while it waited is not our error.
  if (!socket.valid() && errno != EAGAIN && errno != EWOULDBLOCK &&
      errno != EINTR && errno != ECONNABORTED) {
    return SystemError("accepting a connection");
  }
  return socket;
}

void TuneConnection(const FileDescriptor& socket) {
  const auto set = [&](int level, int option, int value) {
    setsockopt(socket.get(), level, option, &value, sizeof(value));
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  // A host that vanishes without a word is noticed by the collective timeout
  // while we wait for it, and by this while we do not.
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace lory::collective
