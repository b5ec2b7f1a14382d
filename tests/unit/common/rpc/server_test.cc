#include "common/rpc/server.h"

#include <grpcpp/client_context.h>

#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "common/base/address.h"
#include "common/base/clock.h"
#include "common/base/error_detail.h"
#include "common/base/mutex.h"
#include "common/rpc/channel.h"
#include "common/rpc/status_convert.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lory/v1/control.grpc.pb.h"
#include "tests/support/certificates.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::rpc {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::lory::testing::TestCa;
using ::testing::HasSubstr;

class FakeService final : public v1::WorkerControlService::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::Worker* response) override {
    if (hold.valid()) hold.wait();
    response->set_name("workers/a");
    return grpc::Status::OK;
  }
  grpc::Status Profile(grpc::ServerContext*, const v1::ProfileRequest*,
                       v1::ProfileResponse*) override {
    return ToGrpc(ErrorWithReason(absl::StatusCode::kFailedPrecondition,
                                  "GENERATION_FENCED", "too old"));
  }

  std::shared_future<void> hold;  // GetStatus waits for it
};

absl::Status CallGetStatus(const std::string& address, const TlsFiles& tls) {
  const auto channel = OpenChannel(address, tls);
  if (!channel.ok()) return channel.status();
  grpc::ClientContext context;
  context.set_deadline(
      absl::ToChronoTime(RealClock().WallNow() + absl::Seconds(5)));
  v1::Worker worker;
  return FromGrpc(v1::WorkerControlService::NewStub(*channel)->GetStatus(
      &context, {}, &worker));
}

struct ServerTest : ::testing::Test {
  absl::StatusOr<std::unique_ptr<Server>> Start(const std::string& address,
                                                const TlsFiles& tls = {}) {
    return Server::Start({.address = address, .tls = tls}, {&service});
  }

  TlsFiles FilesOf(const TestCa& ca, const std::string& name) {
    ca.Issue(name);
    return {ca.ca_path(), ca.cert_path(name), ca.key_path(name)};
  }

  std::string NewFolder(const std::string& name) {
    std::filesystem::create_directory(folder.At(name));
    return folder.At(name);
  }

  TemporaryFolder folder;
  FakeService service;
};

TEST_F(ServerTest, AnswersOnTheRealPort) {
  LORY_ASSERT_OK_AND_ASSIGN(auto server, Start("127.0.0.1:0"));
  EXPECT_NE(SplitHostPort(server->address()).port, "0");
  EXPECT_OK(CallGetStatus(server->address(), {}));
}

TEST_F(ServerTest, AnswersOnAUnixSocket) {
  LORY_ASSERT_OK_AND_ASSIGN(auto server, Start("unix:" + (folder.At("s"))));
  EXPECT_OK(CallGetStatus(server->address(), {}));
}

TEST_F(ServerTest, MoreCallsThanItHasThreadsForAreRefused) {
  std::promise<void> let_go;
  service.hold = let_go.get_future().share();
  LORY_ASSERT_OK_AND_ASSIGN(
      auto server,
      Server::Start({.address = "127.0.0.1:0", .max_threads = 4}, {&service}));
  Mutex mutex;
  int answered = 0, refused = 0;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back([&] {
      const absl::Status status = CallGetStatus(server->address(), {});
      MutexLock lock(&mutex);
      if (status.ok()) ++answered;
      // Until one is refused, none is answered.
      if (absl::IsResourceExhausted(status) && ++refused == 1) {
        let_go.set_value();
      }
    });
  }
  callers.clear();
  if (refused == 0) let_go.set_value();
  EXPECT_GE(refused, 1);
  EXPECT_EQ(answered + refused, 6);
}

TEST_F(ServerTest, ATakenPortIsRefusedByName) {
  LORY_ASSERT_OK_AND_ASSIGN(auto first, Start("127.0.0.1:0"));
  EXPECT_THAT(Start(first->address()),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("cannot listen on " + first->address())));
}

TEST_F(ServerTest, APortThatIsNoneIsRefused) {
  for (const char* port : {"65536", "-1", "x", ""}) {
    EXPECT_THAT(Start(JoinHostPort("127.0.0.1", port)),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("no port in 0..65535")));
  }
}

TEST_F(ServerTest, ReasonsReachTheCaller) {
  LORY_ASSERT_OK_AND_ASSIGN(auto server, Start("127.0.0.1:0"));
  LORY_ASSERT_OK_AND_ASSIGN(auto channel, OpenChannel(server->address(), {}));
  grpc::ClientContext context;
  v1::ProfileResponse response;
  const absl::Status status =
      FromGrpc(v1::WorkerControlService::NewStub(channel)->Profile(&context, {},
                                                                   &response));
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kFailedPrecondition, "too old"));
  EXPECT_EQ(ReasonOf(status), "GENERATION_FENCED");
}

TEST_F(ServerTest, AMessageAboveTheLimitIsRefused) {
  LORY_ASSERT_OK_AND_ASSIGN(auto server, Start("127.0.0.1:0"));
  LORY_ASSERT_OK_AND_ASSIGN(auto channel, OpenChannel(server->address(), {}));
  grpc::ClientContext context;
  v1::StreamJobLogsRequest request;
  request.set_name(std::string(5 << 20, 'x'));
  v1::LogChunk chunk;
  const auto reader =
      v1::WorkerControlService::NewStub(channel)->StreamLogs(&context, request);
  EXPECT_FALSE(reader->Read(&chunk));
  EXPECT_EQ(reader->Finish().error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(ServerTest, InsecureIsForLoopbackOnly) {
  EXPECT_THAT(Start("0.0.0.0:0"), StatusIs(absl::StatusCode::kPermissionDenied,
                                           HasSubstr("--tls-ca")));
  EXPECT_THAT(
      OpenChannel("192.0.2.1:80", {}),
      StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("192.0.2.1")));
}

TEST_F(ServerTest, HalfTheTlsFilesAreRefused) {
  EXPECT_THAT(
      Start("127.0.0.1:0", {.ca = "/ca.pem"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("all or none")));
}

TEST_F(ServerTest, AMissingTlsFileIsNamed) {
  EXPECT_THAT(Start("127.0.0.1:0", {"/none/ca", "/none/cert", "/none/key"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none/ca")));
}

TEST_F(ServerTest, AKeyOfAnotherCertificateIsRefused) {
  const TestCa ca(folder.path());
  TlsFiles files = FilesOf(ca, "a");
  files.key = FilesOf(ca, "b").key;
  EXPECT_THAT(Start("127.0.0.1:0", files),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("is not that of")));
}

TEST_F(ServerTest, MutualTlsLetsACertificateOfTheSameCaIn) {
  const TestCa ca(folder.path());
  LORY_ASSERT_OK_AND_ASSIGN(auto server,
                            Start("127.0.0.1:0", FilesOf(ca, "server")));
  EXPECT_OK(CallGetStatus(server->address(), FilesOf(ca, "client")));
}

TEST_F(ServerTest, AClientWithoutCertificateIsRefused) {
  const TestCa ca(folder.path());
  LORY_ASSERT_OK_AND_ASSIGN(auto server,
                            Start("127.0.0.1:0", FilesOf(ca, "server")));
  EXPECT_THAT(CallGetStatus(server->address(), {}),
              StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
}

TEST_F(ServerTest, ACertificateOfAnotherCaIsRefused) {
  const TestCa ca(NewFolder("right"));
  const TestCa other(NewFolder("wrong"));
  LORY_ASSERT_OK_AND_ASSIGN(auto server,
                            Start("127.0.0.1:0", FilesOf(ca, "server")));
  TlsFiles stranger = FilesOf(other, "client");
  EXPECT_THAT(CallGetStatus(server->address(), stranger),
              StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
  // Trusting the server is not enough: it must trust the client, too.
  stranger.ca = ca.ca_path();
  EXPECT_THAT(CallGetStatus(server->address(), stranger),
              StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
}

TEST_F(ServerTest, NewCertificatesNeedNoRestart) {
  const TestCa old_ca(NewFolder("old"));
  const TestCa new_ca(NewFolder("new"));
  const TlsFiles used = FilesOf(old_ca, "server");
  LORY_ASSERT_OK_AND_ASSIGN(auto server, Start("127.0.0.1:0", used));
  const TlsFiles client = FilesOf(new_ca, "client");
  const TlsFiles renewed = FilesOf(new_ca, "server");
  for (const auto& [from, to] :
       {std::pair(renewed.ca, used.ca), std::pair(renewed.cert, used.cert),
        std::pair(renewed.key, used.key)}) {
    std::filesystem::rename(from, to);
  }
  // The client's CA file went with the server's; it trusts the same one.
  const TlsFiles trusting = {used.ca, client.cert, client.key};
  const absl::Time end = RealClock().WallNow() + absl::Seconds(20);
  bool connected = false;
  while (!connected && RealClock().WallNow() < end) {
    LORY_ASSERT_OK_AND_ASSIGN(auto channel,
                              OpenChannel(server->address(), trusting));
    connected = channel->WaitForConnected(
        absl::ToChronoTime(RealClock().WallNow() + absl::Milliseconds(300)));
  }
  EXPECT_TRUE(connected);
}

}  // namespace
}  // namespace lory::rpc
