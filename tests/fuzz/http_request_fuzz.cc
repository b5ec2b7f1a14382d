// Bytes that somebody sends to the HTTP endpoint: it answers with a status
// line or closes, and lives on. The handlers see what was sent, no more.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "common/base/address.h"
#include "common/http/http_server.h"
#include "tests/fuzz/fuzz.h"

namespace lory::http {
namespace {

std::unique_ptr<HttpServer> Started() {
  HttpServer::Options options;
  options.max_body_bytes = 256;
  options.thread_count = 1;
  options.posts["/echo"] = [](const std::string& body, const ReaderLeft&) {
    LORY_CHECK(body.size() <= 256);
    return Response{.body = body};
  };
  auto server = HttpServer::Start(
      "127.0.0.1:0", "",
      {{"/page",
        [](const std::string& query) { return Response{.body = query}; }}},
      options);
  LORY_CHECK(server.ok());
  return *std::move(server);
}

std::string Exchange(const std::string& address, absl::string_view request) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const absl::Cleanup close_fd = [fd] { ::close(fd); };
  sockaddr_in peer = {.sin_family = AF_INET};
  uint32_t port = 0;
  LORY_CHECK(absl::SimpleAtoi(SplitHostPort(address).port, &port));
  peer.sin_port = htons(static_cast<uint16_t>(port));
  peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  LORY_CHECK(::connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)) ==
             0);
  ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  ::shutdown(fd, SHUT_WR);
  std::string answer;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
    answer.append(buffer, static_cast<size_t>(got));
  }
  return answer;
}

}  // namespace

LORY_FUZZ(input) {
  static const std::unique_ptr<HttpServer> server = Started();
  const std::string answer = Exchange(server->address(), input);
  // CivetWeb answers in the version that it was asked in, whatever that is.
  LORY_CHECK(answer.empty() || absl::StartsWith(answer, "HTTP/"));
}

}  // namespace lory::http
