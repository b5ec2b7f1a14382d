#include "worker/train/control_client.h"

#include <functional>
#include <optional>
#include <string>

#include "common/rpc/server.h"
#include "common/rpc/status_convert.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::train {
namespace {

using ::lory::internal::v1::TrainerOrder;
using ::lory::internal::v1::TrainerReport;
using ::lory::internal::v1::TrainerService;
using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;

constexpr absl::Duration kPatience = absl::Seconds(20);

// A daemon that says one order to every stream and keeps what it is told.
class FakeDaemon final : public TrainerService::Service {
 public:
  struct Heard {
    int stream = 0;  // 1: the first
    TrainerReport report;
  };

  grpc::Status Attend(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<TrainerOrder, TrainerReport>* stream) override {
    TrainerOrder order;
    int number = 0;
    {
      MutexLock lock(&mutex_);
      number = ++streams_;
      if (!refusal_.ok()) return rpc::ToGrpc(refusal_);
      order = order_;
    }
    if (!stream->Write(order)) return grpc::Status::OK;
    Heard heard = {.stream = number};
    while (stream->Read(&heard.report)) {
      MutexLock lock(&mutex_);
      heard_.push_back(heard);
      changed_.NotifyAll();
      if (number <= ended_) {
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "told to");
      }
    }
    return grpc::Status::OK;
  }

  void SetOrder(const TrainerOrder& order) {
    MutexLock lock(&mutex_);
    order_ = order;
  }
  void Refuse(const absl::Status& refusal) {
    MutexLock lock(&mutex_);
    refusal_ = refusal;
  }
  // Ends stream `number` after its next report.
  void End(int number) {
    MutexLock lock(&mutex_);
    ended_ = number;
  }
  // The first report, of those that come or have come, that is so.
  std::optional<Heard> WaitFor(const std::function<bool(const Heard&)>& is_so) {
    MutexLock lock(&mutex_);
    size_t seen = 0;
    while (true) {
      for (; seen < heard_.size(); ++seen) {
        if (is_so(heard_[seen])) return heard_[seen];
      }
      if (!changed_.WaitFor(&mutex_, kPatience)) return std::nullopt;
    }
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  TrainerOrder order_ ABSL_GUARDED_BY(mutex_);
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
  int ended_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Heard> heard_ ABSL_GUARDED_BY(mutex_);
};

struct ControlClientTest : ::testing::Test {
  ControlClientTest() : board(WhoItIs()) {}

  static TrainerStatus WhoItIs() {
    TrainerStatus status;
    status.set_job("jobs/tiny");
    status.set_incarnation("one");
    return status;
  }

  void Serve() {
    LORY_ASSERT_OK_AND_ASSIGN(
        server, rpc::Server::Start({.address = address}, {&daemon}));
  }

  void StartClient() {
    LORY_ASSERT_OK_AND_ASSIGN(client,
                              ControlClient::Start(address, board, clock));
  }

  testing::TemporaryFolder folder;
  const std::string address = "unix:" + folder.At("trainers.sock");
  testing::FakeClock clock;
  FakeDaemon daemon;
  std::unique_ptr<rpc::Server> server;
  ControlBoard board;
  std::unique_ptr<ControlClient> client;  // ends before what it uses
};

TEST_F(ControlClientTest, OrdersComeDownAndEveryChangeOfTheStatusGoesUp) {
  TrainerOrder order;
  order.mutable_assignment()->set_phase(Assignment::PREPARE);
  order.mutable_assignment()->set_generation(7);
  daemon.SetOrder(order);
  Serve();
  StartClient();
  board.AwaitNews(0, kPatience);
  EXPECT_EQ(board.Newest().assignment().generation(), 7);
  const auto first =
      daemon.WaitFor([](const FakeDaemon::Heard& heard) { return true; });
  ASSERT_TRUE(first);
  EXPECT_EQ(first->report.status().incarnation(), "one");
  board.Report([](TrainerStatus& status) {
    status.set_phase(TrainerStatus::PREPARED);
    status.set_generation(7);
  });
  const auto prepared = daemon.WaitFor([](const FakeDaemon::Heard& heard) {
    return heard.report.status().phase() == TrainerStatus::PREPARED;
  });
  ASSERT_TRUE(prepared);
  EXPECT_EQ(prepared->report.status().generation(), 7);
  EXPECT_GT(prepared->report.progress_counter(),
            first->report.progress_counter());
}

TEST_F(ControlClientTest, ANewStreamIsToldEverythingAgain) {
  Serve();
  lory::v1::CommitCheckpointRequest part;
  part.set_step(5);
  board.AddWrittenPart(part);
  StartClient();
  const auto has_part = [](int stream) {
    return [stream](const FakeDaemon::Heard& heard) {
      return heard.stream == stream && heard.report.written_parts_size() == 1;
    };
  };
  ASSERT_TRUE(daemon.WaitFor(has_part(1)));
  daemon.End(1);
  const auto again = daemon.WaitFor(has_part(2));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->report.written_parts(0).step(), 5);
  EXPECT_EQ(again->report.status().job(), "jobs/tiny");
  EXPECT_FALSE(board.closed());
}

TEST_F(ControlClientTest, APartIsToldOnceAStream) {
  Serve();
  board.AddWrittenPart({});
  StartClient();
  board.Report([](TrainerStatus& status) { status.set_applied_step(3); });
  int parts = 0;
  ASSERT_TRUE(daemon.WaitFor([&](const FakeDaemon::Heard& heard) {
    parts += heard.report.written_parts_size();
    return heard.report.status().applied_step() == 3;
  }));
  board.Report([](TrainerStatus& status) { status.set_applied_step(4); });
  parts = 0;
  ASSERT_TRUE(daemon.WaitFor([&](const FakeDaemon::Heard& heard) {
    parts += heard.report.written_parts_size();
    return heard.report.status().applied_step() == 4;
  }));
  EXPECT_EQ(parts, 1);
}

TEST_F(ControlClientTest, ATrainerThatItsDaemonDoesNotKnowEnds) {
  daemon.Refuse(absl::PermissionDeniedError("no trainer 'one'"));
  Serve();
  StartClient();
  board.AwaitNews(0, kPatience);
  EXPECT_TRUE(board.closed());
}

TEST_F(ControlClientTest, TheClientEndsWhileNobodyAnswers) {
  StartClient();  // nobody listens
  client.reset();
  EXPECT_FALSE(board.closed());
}

}  // namespace
}  // namespace lory::train
