#include "worker/daemon/commit_client.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "common/base/error_detail.h"
#include "common/base/mutex.h"
#include "common/rpc/channel.h"
#include "gtest/gtest.h"
#include "tests/support/fake_coordinator.h"
#include "tests/support/status_matchers.h"

namespace lory::daemon {
namespace {

using ::lory::testing::FakeCoordinator;
using ::lory::v1::Checkpoint;
using ::lory::v1::CommitCheckpointRequest;

struct CommitClientTest : ::testing::Test {
  CommitClientTest() {
    auto channel = rpc::OpenChannel(coordinator.address(), {});
    EXPECT_OK(channel);
    stub = v1::WorkerService::NewStub(*channel);
    client = std::make_unique<CommitClient>(
        *stub, RealClock(), absl::Milliseconds(10),
        [this](const CommitClient::Part&, PartFate decided) {
          MutexLock lock(&mutex);
          fate = decided;
          changed.NotifyAll();
        });
  }

  // Answers with `answer` from the third time on, with WRITING before.
  void AnswerAtLast(const absl::StatusOr<Checkpoint>& answer) {
    coordinator.SetCommit(
        [answer, asked = 0](const auto&) mutable -> absl::StatusOr<Checkpoint> {
          Checkpoint writing;
          writing.set_state(Checkpoint::WRITING);
          if (++asked < 3) return writing;
          return answer;
        });
  }

  std::optional<PartFate> Decide(const std::string& file) {
    CommitClient::Part part = {.incarnation = "i"};
    part.request.set_job("jobs/tiny");
    part.request.mutable_part()->set_file(file);
    client->Add(part);
    client->Add(part);
    const std::jthread thread(
        [this](std::stop_token stop) { client->Run(stop); });
    MutexLock lock(&mutex);
    while (!fate.has_value()) {
      if (!changed.WaitFor(&mutex, absl::Seconds(20))) break;
    }
    return fate;
  }

  FakeCoordinator coordinator;
  std::unique_ptr<v1::WorkerService::Stub> stub;
  std::unique_ptr<CommitClient> client;
  Mutex mutex;
  CondVar changed;
  std::optional<PartFate> fate;
};

TEST_F(CommitClientTest, AsksUntilThePartIsCommitted) {
  Checkpoint committed;
  committed.set_state(Checkpoint::COMMITTED);
  AnswerAtLast(committed);
  EXPECT_EQ(Decide("part-0"), PartFate::kCommitted);
  EXPECT_EQ(coordinator.commits().size(), 3u);
}

TEST_F(CommitClientTest, ADeletedCheckpointIsAnAnswer) {
  Checkpoint deleted;
  deleted.set_state(Checkpoint::DELETED);
  AnswerAtLast(deleted);
  EXPECT_EQ(Decide("part-0"), PartFate::kDeleted);
}

TEST_F(CommitClientTest, AFencedPartIsToldApart) {
  AnswerAtLast(ErrorWithReason(absl::StatusCode::kFailedPrecondition,
                               "GENERATION_FENCED", "generation 3 ended"));
  EXPECT_EQ(Decide("part-0"), PartFate::kFenced);
}

TEST_F(CommitClientTest, ACoordinatorThatIsAwayIsAskedAgain) {
  AnswerAtLast(absl::UnavailableError("replaying"));
  Checkpoint committed;
  committed.set_state(Checkpoint::COMMITTED);
  coordinator.SetCommit([committed, asked = 0](
                            const auto&) mutable -> absl::StatusOr<Checkpoint> {
    if (++asked < 3) return absl::UnavailableError("replaying");
    return committed;
  });
  EXPECT_EQ(Decide("part-0"), PartFate::kCommitted);
}

TEST_F(CommitClientTest, AJobThatIsGoneEndsTheAsking) {
  AnswerAtLast(absl::NotFoundError("no such job"));
  EXPECT_EQ(Decide("part-0"), PartFate::kRefused);
}

}  // namespace
}  // namespace lory::daemon
