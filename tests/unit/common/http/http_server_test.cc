#include "common/http/http_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "common/base/address.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::http {
namespace {

using ::lory::testing::StatusIs;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Sends `request` as it is and returns all that comes back.
std::string Exchange(const std::string& address, const std::string& request) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const absl::Cleanup close_fd = [fd] { ::close(fd); };
  sockaddr_in peer = {.sin_family = AF_INET};
  uint32_t port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(SplitHostPort(address).port, &port));
  peer.sin_port = htons(static_cast<uint16_t>(port));
  peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)), 0);
  EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  ssize_t got = 0;
  while ((got = ::recv(fd, buffer, sizeof(buffer), 0)) > 0) {
    answer.append(buffer, static_cast<size_t>(got));
  }
  return answer;
}

struct HttpServerTest : ::testing::Test {
  void SetUp() override {
    auto started = HttpServer::Start(
        "127.0.0.1:0", false,
        {{"/healthz",
          [](const std::string&) { return Response{.body = "ok\n"}; }},
         {"/echo", [](const std::string& query) {
            return Response{.status = 200, .body = query};
          }}});
    ASSERT_OK(started);
    server = *std::move(started);
  }

  std::string Ask(const std::string& line) {
    return Exchange(server->address(), line + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }

  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpServerTest, AnswersAGet) {
  const std::string answer = Ask("GET /healthz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nok\n"));
}

TEST_F(HttpServerTest, HeadHasNoBody) {
  const std::string answer = Ask("HEAD /healthz");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, PassesTheQueryOn) {
  EXPECT_THAT(Ask("GET /echo?a=1&b=%20"), EndsWith("\r\n\r\na=1&b=%20"));
}

TEST_F(HttpServerTest, UnknownPagesAreNotFound) {
  EXPECT_THAT(Ask("GET /none"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("GET /../etc/passwd"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("GET /"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(HttpServerTest, OtherMethodsAreNotAllowed) {
  const std::string answer = Ask("DELETE /healthz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST_F(HttpServerTest, GarbageDoesNotEndTheServer) {
  EXPECT_THAT(Exchange(server->address(), std::string(20'000, 'x')),
              Not(StartsWith("HTTP/1.1 200")));
  EXPECT_THAT(Ask("GET /healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, ATakenPortIsRefusedByName) {
  EXPECT_THAT(
      HttpServer::Start(server->address(), false, {}),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr(server->address())));
}

TEST_F(HttpServerTest, RemoteReadersMustBeAllowed) {
  EXPECT_THAT(
      HttpServer::Start("0.0.0.0:0", false, {}),
      StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("loopback")));
  EXPECT_OK(HttpServer::Start("0.0.0.0:0", true, {}));
}

TEST_F(HttpServerTest, AnAddressWithoutPortIsRefused) {
  EXPECT_THAT(
      HttpServer::Start("localhost", false, {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("host:port")));
}

}  // namespace
}  // namespace lory::http
