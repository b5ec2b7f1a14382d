#include "common/http/http_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "common/base/address.h"
#include "common/http/token_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

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
        "127.0.0.1:0", "",
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
      HttpServer::Start(server->address(), "", {}),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr(server->address())));
}

TEST_F(HttpServerTest, BeyondLoopbackThereMustBeAToken) {
  EXPECT_THAT(HttpServer::Start("0.0.0.0:0", "", {}),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("--http-token-file")));
}

TEST_F(HttpServerTest, WithATokenOnlyThoseWhoShowItAreAnswered) {
  const lory::testing::TemporaryFolder folder;
  const std::string file = folder.Write("token", "0123456789abcdef\n");
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  auto started = HttpServer::Start("0.0.0.0:0", file,
                                   {{"/healthz", [](const std::string&) {
                                       return Response{.body = "ok\n"};
                                     }}});
  ASSERT_OK(started);
  server = *std::move(started);
  const auto ask = [&](const std::string& header) {
    return Exchange(server->address(),
                    "GET /healthz HTTP/1.1\r\nHost: x\r\n" + header + "\r\n");
  };
  EXPECT_THAT(ask(""), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask(""), HasSubstr("WWW-Authenticate: Basic"));
  EXPECT_THAT(ask("Authorization: Bearer 0123456789abcdee\r\n"),
              StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask("Authorization: Bearer 0123456789abcdef\r\n"),
              EndsWith("\r\n\r\nok\n"));
  // anyone:0123456789abcdef
  EXPECT_THAT(ask("Authorization: Basic YW55b25lOjAxMjM0NTY3ODlhYmNkZWY=\r\n"),
              EndsWith("\r\n\r\nok\n"));
  EXPECT_THAT(ask("Authorization: Basic !\r\n"), StartsWith("HTTP/1.1 401 "));
  // Nor is it told which pages there are.
  EXPECT_THAT(Ask("GET /none"), StartsWith("HTTP/1.1 401 "));
}

TEST(TokenFile, MustBeASecretOfItsOwner) {
  const lory::testing::TemporaryFolder folder;
  EXPECT_THAT(ReadTokenFile(folder.At("none")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  const std::string open = folder.Write("open", "0123456789abcdef");
  ASSERT_EQ(::chmod(open.c_str(), 0644), 0);
  EXPECT_THAT(ReadTokenFile(open), StatusIs(absl::StatusCode::kPermissionDenied,
                                            HasSubstr("chmod 600")));
  for (const char* bad : {"", "short", "two words 0123456789"}) {
    const std::string file = folder.Write("bad", bad);
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    EXPECT_THAT(
        ReadTokenFile(file),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("openssl rand")))
        << bad;
  }
}

TEST_F(HttpServerTest, AnAddressWithoutPortIsRefused) {
  EXPECT_THAT(
      HttpServer::Start("localhost", "", {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("host:port")));
}

}  // namespace
}  // namespace lory::http
