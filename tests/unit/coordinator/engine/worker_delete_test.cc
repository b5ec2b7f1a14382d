#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// Hosts that are gone for good, and those that were thought to be.
namespace lory::testing {
namespace {

using ::lory::v1::Job;
using ::lory::v1::Worker;
using ::testing::ElementsAre;

class WorkerDeleteTest : public ::testing::Test {
 protected:
  WorkerDeleteTest() {
    SetLogOptions(LogLevel::kError, LogFormat::kText);
    fleet_.AddWorker("w0");
    fleet_.AddWorker("w1");
    fleet_.Round();
  }
  ~WorkerDeleteTest() override {
    SetLogOptions(LogLevel::kInfo, LogFormat::kText);
  }

  static lory::v1::WorkerVerbRequest Named(const std::string& name,
                                           const std::string& request_id = "") {
    lory::v1::WorkerVerbRequest request;
    request.set_name(absl::StrCat("workers/", name));
    request.set_request_id(request_id);
    return request;
  }
  absl::Status Delete(const std::string& name) {
    return fleet_.core().DeleteWorker(Named(name)).status();
  }
  bool RunUntilWorker(const std::string& name, Worker::State state) {
    return fleet_.RunUntil([&] {
      const auto worker =
          fleet_.core().GetWorker(absl::StrCat("workers/", name));
      return worker.ok() && worker->state() == state;
    });
  }
  // What lists, the status page and metrics show.
  std::vector<std::string> Shown() {
    std::vector<std::string> names, snapshot;
    const auto listed = fleet_.core().ListWorkers({});
    for (const Worker& worker : listed->workers()) {
      names.push_back(worker.name());
    }
    for (const Worker& worker : fleet_.core().TakeSnapshot(0).workers) {
      snapshot.push_back(worker.name());
    }
    EXPECT_EQ(names, snapshot);
    return names;
  }

  Fleet fleet_;
};

TEST_F(WorkerDeleteTest, ALostWorkerLeavesTheListsAndIsTakenInAnewLater) {
  fleet_.KillDaemon("w1");
  ASSERT_TRUE(RunUntilWorker("w1", Worker::LOST));
  ASSERT_OK(Delete("w1"));
  EXPECT_THAT(Shown(), ElementsAre("workers/w0"));
  EXPECT_EQ(ReasonOf(Delete("w1")), "WORKER_NOT_FOUND");
  fleet_.ReviveDaemon("w1");
  fleet_.Round();
  EXPECT_THAT(Shown(), ElementsAre("workers/w0", "workers/w1"));
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(2, 2)));
  EXPECT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(WorkerDeleteTest, ADrainedOneThatIsGoneIsForgottenAcrossRestarts) {
  ASSERT_OK(fleet_.core().DrainWorker(Named("w1")));
  EXPECT_EQ(ReasonOf(Delete("w1")), "WORKER_ALIVE");
  fleet_.KillDaemon("w1");
  EXPECT_EQ(ReasonOf(Delete("w1")), "WORKER_ALIVE");  // for one lease
  ASSERT_TRUE(RunUntilWorker("w1", Worker::LOST));
  ASSERT_OK(fleet_.core().DeleteWorker(Named("w1", "a-uuid")));
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  fleet_.Round();
  EXPECT_THAT(Shown(), ElementsAre("workers/w0"));
  // A repeated call does not meet the worker that came back.
  fleet_.ReviveDaemon("w1");
  ASSERT_TRUE(RunUntilWorker("w1", Worker::READY));
  EXPECT_EQ(fleet_.core().DeleteWorker(Named("w1", "a-uuid"))->name(),
            "workers/w1");
  EXPECT_THAT(Shown(), ElementsAre("workers/w0", "workers/w1"));
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(WorkerDeleteTest, AJobThatLostAMemberGoesOnWithoutItsWorker) {
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 2, 100)));
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.Job("tiny").progress().step() >= 5; }));
  EXPECT_EQ(ReasonOf(Delete("w1")), "WORKER_ALIVE");
  fleet_.CutOff("w1", true);
  fleet_.BreakStream("w1");
  // The lease is over, and nobody has looked since.
  fleet_.clock().Advance(absl::Seconds(6));
  for (const char* wish : {"w0", "w1"}) {
    EXPECT_EQ(Delete(wish).ok(), wish == std::string("w1"));
  }
  EXPECT_THAT(Shown(), ElementsAre("workers/w0"));
  EXPECT_EQ(fleet_.CheckInvariants(), "");
  // The daemon lived all the time, and its trainer too.
  fleet_.CutOff("w1", false);
  EXPECT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  EXPECT_EQ(fleet_.Audit("tiny"), "");
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(WorkerDeleteTest, WhatTheJournalDoesNotTakeStays) {
  ASSERT_OK(fleet_.core().DrainWorker(Named("w1")));
  fleet_.KillDaemon("w1");
  ASSERT_TRUE(RunUntilWorker("w1", Worker::LOST));
  fleet_.journal().FailNextAppend(absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(ReasonOf(Delete("w1")), "JOURNAL_UNAVAILABLE");
  EXPECT_THAT(Shown(), ElementsAre("workers/w0", "workers/w1"));
  EXPECT_OK(Delete("w1"));
}

}  // namespace
}  // namespace lory::testing
