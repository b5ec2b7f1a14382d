#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/address.h"
#include "common/http/http_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::http {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct HttpPostTest : ::testing::Test {
  void SetUp() override {
    HttpServer::Options options;
    options.max_body_bytes = 100;
    options.posts["/echo"] = [](const std::string& body) {
      return Response{.body = "got " + body};
    };
    options.posts["/stream"] = [](const std::string&) {
      return Response{.stream = [](const BodyWriter& write) {
        EXPECT_TRUE(write("one "));
        EXPECT_TRUE(write(""));
        EXPECT_TRUE(write("two"));
      }};
    };
    auto started = HttpServer::Start("127.0.0.1:0", "", {}, options);
    ASSERT_OK(started);
    server = *std::move(started);
  }

  std::string Post(const std::string& path, const std::string& body,
                   const std::string& type = "application/json") const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const absl::Cleanup close_fd = [fd] { ::close(fd); };
    sockaddr_in peer = {.sin_family = AF_INET};
    uint32_t port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(SplitHostPort(server->address()).port, &port));
    peer.sin_port = htons(static_cast<uint16_t>(port));
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)),
              0);
    const std::string request = absl::StrCat(
        "POST ", path, " HTTP/1.1\r\nHost: x\r\nContent-Type: ", type,
        "\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
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

  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpPostTest, TheBodyIsPassedOn) {
  EXPECT_THAT(Post("/echo", "{}"), EndsWith("\r\n\r\ngot {}"));
  EXPECT_THAT(Post("/echo", "", "application/json; charset=utf-8"),
              EndsWith("\r\n\r\ngot "));
}

TEST_F(HttpPostTest, AStreamComesInChunks) {
  const std::string answer = Post("/stream", "{}");
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"));
}

TEST_F(HttpPostTest, OtherTypesAndLargeBodiesAreRefused) {
  EXPECT_THAT(Post("/echo", "{}", "text/plain"), StartsWith("HTTP/1.1 415 "));
  EXPECT_THAT(Post("/echo", std::string(100, 'x')), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Post("/echo", std::string(101, 'x')), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Post("/none", "{}"), StartsWith("HTTP/1.1 404"));
}

}  // namespace
}  // namespace lory::http
