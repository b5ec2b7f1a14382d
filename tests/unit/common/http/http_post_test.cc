#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <string>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/address.h"
#include "common/http/http_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::http {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct HttpPostTest : ::testing::Test {
  void SetUp() override {
    HttpServer::Options options;
    options.max_body_bytes = 100;
    options.posts["/echo"] = [](const std::string& body, const ReaderLeft&) {
      return Response{.body = "got " + body};
    };
    options.posts["/stream"] = [](const std::string&, const ReaderLeft&) {
      return Response{.stream = [](const BodyWriter& write) {
        EXPECT_TRUE(write("one "));
        EXPECT_TRUE(write(""));
        EXPECT_TRUE(write("two"));
      }};
    };
    options.posts["/wait"] = [this](const std::string&,
                                    const ReaderLeft& reader_left) {
      began.set_value(reader_left());
      while (!reader_left()) std::this_thread::yield();
      left.set_value();
      return Response{};
    };
    Start("", options);
  }

  void Start(const std::string& token_file, HttpServer::Options options) {
    server.reset();
    auto started = HttpServer::Start("127.0.0.1:0", token_file, {}, options);
    ASSERT_OK(started);
    server = *std::move(started);
  }

  // A connection that has sent `bytes`; the caller closes it.
  int Send(const std::string& bytes) const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in peer = {.sin_family = AF_INET};
    uint32_t port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(SplitHostPort(server->address()).port, &port));
    peer.sin_port = htons(static_cast<uint16_t>(port));
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)),
              0);
    EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    return fd;
  }

  static std::string ReadAll(int fd) {
    std::string answer;
    char buffer[4096];
    ssize_t got = 0;
    while ((got = ::recv(fd, buffer, sizeof(buffer), 0)) > 0) {
      answer.append(buffer, static_cast<size_t>(got));
    }
    return answer;
  }

  // Sends a byte of a body now and then until the answer has ended, and returns
  // that; of a server that never ends it, what came until `most` bytes.
  static std::string Trickle(int fd, int most) {
    std::string answer;
    for (int sent = 0; sent < most; ++sent) {
      ::send(fd, "x", 1, MSG_NOSIGNAL);
      pollfd asked = {.fd = fd, .events = POLLIN, .revents = 0};
      if (::poll(&asked, 1, 10) == 0) continue;
      char buffer[4096];
      const ssize_t got = ::recv(fd, buffer, sizeof(buffer), 0);
      if (got <= 0) return answer + "(end)";
      answer.append(buffer, static_cast<size_t>(got));
    }
    return answer;
  }

  static std::string Head(const std::string& path, size_t body_bytes,
                          const std::string& type = "application/json") {
    return absl::StrCat("POST ", path,
                        " HTTP/1.1\r\nHost: x\r\nContent-Type: ", type,
                        "\r\nContent-Length: ", body_bytes, "\r\n\r\n");
  }

  std::string Post(const std::string& path, const std::string& body,
                   const std::string& type = "application/json") const {
    const int fd = Send(Head(path, body.size(), type) + body);
    const absl::Cleanup close_fd = [fd] { ::close(fd); };
    return ReadAll(fd);
  }

  std::promise<bool> began;  // of /wait: whether the reader had left
  std::promise<void> left;
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

TEST_F(HttpPostTest, WhoAnswersLearnsThatTheReaderLeft) {
  const int fd = Send(Head("/wait", 2) + "{}");
  EXPECT_FALSE(began.get_future().get());
  ::close(fd);
  left.get_future().get();  // or the handler would wait for ever
}

TEST_F(HttpPostTest, ABodyInPiecesIsPutTogether) {
  const std::string body(90, 'y');
  const int fd = Send(Head("/echo", body.size()) + body.substr(0, 50));
  const absl::Cleanup close_fd = [fd] { ::close(fd); };
  EXPECT_EQ(::send(fd, body.data() + 50, 40, MSG_NOSIGNAL), 40);
  EXPECT_THAT(ReadAll(fd), EndsWith("got " + body));
}

TEST_F(HttpPostTest, ABodyHasATimeForAllOfIt) {
  Start("", {.posts = {{"/echo", [](const std::string&,
                                    const ReaderLeft&) { return Response{}; }}},
             .body_time = absl::Milliseconds(100)});
  const int fd = Send(Head("/echo", 100'000));
  const absl::Cleanup close_fd = [fd] { ::close(fd); };
  const std::string answer = Trickle(fd, 1000);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 Request Timeout"));
  EXPECT_THAT(answer, EndsWith("too slowly\n(end)"));
}

TEST_F(HttpPostTest, WhoShowsNoTokenDoesNotHoldAThreadWithABody) {
  const lory::testing::TemporaryFolder folder;
  const std::string file = folder.Write("token", "0123456789abcdef\n");
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  Start(file,
        {.posts = {{"/echo", [](const std::string&,
                                const ReaderLeft&) { return Response{}; }}},
         .thread_count = 1});
  const int fd = Send(Head("/echo", 100'000));
  const absl::Cleanup close_fd = [fd] { ::close(fd); };
  const std::string answer = Trickle(fd, 300);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(answer, EndsWith("(end)"));
  EXPECT_THAT(Post("/echo", "{}"), StartsWith("HTTP/1.1 401 "));
}

}  // namespace
}  // namespace lory::http
