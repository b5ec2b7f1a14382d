#include "common/http/connection.h"

#include <civetweb.h>
#include <netdb.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"

namespace lory::http {
namespace {

constexpr absl::Duration kDropTime = absl::Milliseconds(500);
constexpr size_t kReadBytes = 16384;

using SocketName = int (*)(int, sockaddr*, socklen_t*);

// "HOST PORT" of one end of a socket; empty: it is none of the kind.
std::string EndOf(int fd, SocketName name) {
  sockaddr_storage end = {};
  socklen_t size = sizeof(end);
  auto* const address = reinterpret_cast<sockaddr*>(&end);
  std::array<char, NI_MAXHOST> host;
  std::array<char, NI_MAXSERV> port;
  if (name(fd, address, &size) != 0 ||
      ::getnameinfo(address, size, host.data(), host.size(), port.data(),
                    port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "";
  }
  return absl::StrCat(host.data(), " ", port.data());
}

// The socket of a request, which CivetWeb keeps to itself: the one of this
// process between its reader and the server's port. -1: it is not there.
int SocketOf(const mg_request_info& request, int port) {
  const std::string reader =
      absl::StrCat(request.remote_addr, " ", request.remote_port);
  const std::string own = absl::StrCat(" ", port);
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd", error)) {
    int fd = -1;
    if (absl::SimpleAtoi(entry.path().filename().string(), &fd) &&
        EndOf(fd, &::getpeername) == reader &&
        absl::EndsWith(EndOf(fd, &::getsockname), own)) {
      return fd;
    }
  }
  return -1;
}

}  // namespace

Connection::Connection(mg_connection* connection, int port)
    : connection_(connection) {
  const mg_request_info& request = *mg_get_request_info(connection);
  // Others, such as who reads metrics, are answered at once.
  if (HasBody() || absl::string_view(request.request_method) == "POST") {
    socket_ = SocketOf(request, port);
  }
}

bool Connection::HasBody() const {
  return mg_get_request_info(connection_)->content_length > 0 ||
         mg_get_header(connection_, "Transfer-Encoding") != nullptr;
}

bool Connection::ReaderLeft() const {
  if (socket_ < 0) return false;
  pollfd asked = {.fd = socket_, .events = POLLRDHUP, .revents = 0};
  return ::poll(&asked, 1, 0) > 0;
}

size_t Connection::Ready(size_t most) const {
  // CivetWeb waits for all it is asked for, and may hold bytes that came with
  // the head beside those in the socket. Of chunks the lengths count, too.
  int waiting = 0;
  if (mg_get_request_info(connection_)->content_length < 0 || socket_ < 0 ||
      ::ioctl(socket_, FIONREAD, &waiting) != 0) {
    return 1;
  }
  return std::clamp<size_t>(static_cast<size_t>(waiting), 1, most);
}

BodyEnd Connection::ReadBody(size_t most, absl::Duration time,
                             std::string& body) {
  const long long size = mg_get_request_info(connection_)->content_length;
  if (size > static_cast<long long>(most)) return BodyEnd::kTooLarge;
  const absl::Time deadline = RealClock().MonotonicNow() + time;
  std::array<char, kReadBytes> buffer;
  while (body.size() <= most) {
    if (size >= 0 && body.size() == static_cast<size_t>(size)) {
      body_read_ = true;
      return BodyEnd::kWhole;
    }
    if (RealClock().MonotonicNow() >= deadline) return BodyEnd::kTooSlow;
    const int got = mg_read(connection_, buffer.data(), Ready(buffer.size()));
    if (got == 0 && size < 0) {
      body_read_ = true;
      return BodyEnd::kWhole;
    }
    if (got <= 0) return ReaderLeft() ? BodyEnd::kEarly : BodyEnd::kTooSlow;
    body.append(buffer.data(), static_cast<size_t>(got));
  }
  return BodyEnd::kTooLarge;
}

void Connection::DropBody() {
  if (body_read_ || socket_ < 0 || !HasBody()) return;
  ::shutdown(socket_, SHUT_WR);  // the reader sees the answer's end
  const absl::Time deadline = RealClock().MonotonicNow() + kDropTime;
  std::array<char, kReadBytes> buffer;
  while (true) {
    const absl::Duration left = deadline - RealClock().MonotonicNow();
    pollfd asked = {.fd = socket_, .events = POLLIN, .revents = 0};
    if (left <= absl::ZeroDuration() ||
        ::poll(&asked, 1, static_cast<int>(absl::ToInt64Milliseconds(left))) <=
            0 ||
        ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT) <= 0) {
      break;
    }
  }
  ::shutdown(socket_, SHUT_RD);  // or CivetWeb would wait for the rest
}

}  // namespace lory::http
