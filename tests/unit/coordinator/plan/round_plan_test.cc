#include "coordinator/plan/round_plan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/plan/made_up_world.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Job;
using ::lory::v1::TrainerStatus;
using ::testing::ElementsAre;

struct RoundPlanTest : ::testing::Test, MadeUpWorld {
  RoundPlanTest() {
    AddWorker("a");
    AddWorker("b");
    Start(job, {Slot("a"), Slot("b")}, 0);
  }

  RoundPlan Plan() {
    Follow(job);
    return PlanRound(view(), job);
  }

  lory::v1::Round& Granted() { return sessions.runs[job.name].round; }

  JobState& job = AddJob("tiny", Job::RUNNING, 2, 2);
};

TEST_F(RoundPlanTest, TheFirstOfAJobIsShort) {
  const RoundPlan plan = Plan();
  ASSERT_TRUE(plan.round);
  EXPECT_EQ(plan.round->id(), 1);
  EXPECT_EQ(plan.round->first_step(), 0);
  EXPECT_EQ(plan.round->step_count(), options.first_round_steps);
  EXPECT_THAT(plan.round->shares(), ElementsAre(2, 2));
}

TEST_F(RoundPlanTest, TheNextOneLastsAMinuteAndStopsAtTheLastStep) {
  job.spec.set_step_count(1000);
  Granted().set_id(1);
  Granted().set_step_count(8);
  sessions.runs[job.name].step_seconds = 0.5;
  for (const char* name : {"a", "b"}) {
    PutTrainer(Slot(name), job, TrainerStatus::TRAINING, 1, 6);
  }
  RoundPlan plan = Plan();
  ASSERT_TRUE(plan.round);
  EXPECT_EQ(plan.round->first_step(), 8);
  EXPECT_EQ(plan.round->step_count(), 120);
  job.spec.set_step_count(50);
  plan = Plan();
  EXPECT_EQ(plan.round->step_count(), 42);
}

TEST_F(RoundPlanTest, ItWaitsUntilAThirdIsLeft) {
  Granted().set_id(1);
  Granted().set_step_count(9);
  PutTrainer(Slot("a"), job, TrainerStatus::TRAINING, 1, 5);
  EXPECT_FALSE(Plan().round);
  PutTrainer(Slot("a"), job, TrainerStatus::TRAINING, 1, 6);
  EXPECT_TRUE(Plan().round);
}

TEST_F(RoundPlanTest, ASlowRankGetsLess) {
  PutTrainer(Slot("a"), job, TrainerStatus::TRAINING, 1, 0)
      .set_micro_batch_seconds(0.1);
  PutTrainer(Slot("b"), job, TrainerStatus::TRAINING, 1, 0)
      .set_micro_batch_seconds(0.3);
  EXPECT_THAT(Plan().round->shares(), ElementsAre(3, 1));
}

TEST_F(RoundPlanTest, AfterARestartTheTrainersSayWhatTheyHold) {
  sessions.started = now;
  WorkerSession& late = sessions.workers["workers/b"];
  late.reported = false;
  sessions.workers["workers/a"].stream_opened = now;
  late.stream_opened = now;
  now += options.settle;
  EXPECT_EQ(Plan().reason, "waits for workers/b slot 0 to report");
  late.reported = true;
  late.stream_opened = now;
  EXPECT_EQ(Plan().reason, "waits for workers/b slot 0 to settle");
  now += options.settle;
  late.trainers[0].mutable_round()->set_id(7);
  late.trainers[0].mutable_round()->set_first_step(40);
  const RoundPlan plan = Plan();
  ASSERT_TRUE(plan.round);
  EXPECT_EQ(plan.round->id(), 7);
  EXPECT_EQ(plan.round->first_step(), 40);
}

}  // namespace
}  // namespace lory::coordinator
