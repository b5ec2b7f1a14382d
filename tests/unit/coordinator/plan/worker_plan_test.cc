#include "coordinator/plan/worker_plan.h"

#include "common/base/error_detail.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/coordinator/plan/made_up_world.h"

namespace lory::coordinator {
namespace {

using ::lory::testing::StatusIs;
using ::lory::v1::Job;
using ::testing::HasSubstr;

struct WorkerPlanTest : ::testing::Test, MadeUpWorld {
  WorkerPlanTest() { AddWorker("a"); }

  // Its stream broke, and its lease is over.
  void Lose() {
    sessions.workers["workers/a"].stream_open = false;
    now += options.lease + absl::Seconds(1);
  }

  absl::Status Refusal() const {
    return PlanWorkerDeletion(view(), "workers/a").status();
  }
};

TEST_F(WorkerPlanTest, AWorkerThatAttendsIsNotDeleted) {
  EXPECT_EQ(ReasonOf(Refusal()), "WORKER_ALIVE");
  EXPECT_THAT(Refusal(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("attends; `loryctl worker drain a`")));
  state.draining_workers.insert("workers/a");
  EXPECT_EQ(ReasonOf(Refusal()), "WORKER_ALIVE");
  EXPECT_THAT(Refusal().message(),
              HasSubstr("attends; stop its daemon once it is DRAINED"));
}

TEST_F(WorkerPlanTest, AStreamThatBrokeAMomentAgoMayComeBack) {
  sessions.workers["workers/a"].stream_open = false;
  EXPECT_EQ(ReasonOf(Refusal()), "WORKER_ALIVE");
  EXPECT_THAT(Refusal().message(), HasSubstr("heard of less than 5s ago"));
}

TEST_F(WorkerPlanTest, AfterARestartItIsGivenALeaseToComeBack) {
  sessions.workers.clear();
  state.draining_workers.insert("workers/a");
  sessions.started = now;
  EXPECT_THAT(Refusal().message(), HasSubstr("the coordinator began"));
  now += options.lease;
  EXPECT_OK(Refusal());
}

TEST_F(WorkerPlanTest, AMemberOfAJobIsNotDeleted) {
  JobState& job = AddJob("tiny", Job::RUNNING);
  Start(job, {Slot("a")});
  Lose();
  EXPECT_EQ(ReasonOf(Refusal()), "WORKER_IN_USE");
  EXPECT_THAT(Refusal().message(), HasSubstr("jobs/tiny has not let"));
  sessions.leases.clear();
  EXPECT_EQ(ReasonOf(Refusal()), "WORKER_IN_USE");
  End(job, /*by_fault=*/true);
  EXPECT_OK(Refusal());
}

TEST_F(WorkerPlanTest, TheJournalForgetsADrainAndNothingElse) {
  Lose();
  EXPECT_TRUE(PlanWorkerDeletion(view(), "workers/a")->events.empty());
  state.draining_workers.insert("workers/a");
  const auto plan = PlanWorkerDeletion(view(), "workers/a");
  ASSERT_EQ(plan->events.size(), 1u);
  ASSERT_OK(state.Apply(plan->events[0]));
  EXPECT_TRUE(state.draining_workers.empty());
}

}  // namespace
}  // namespace lory::coordinator
