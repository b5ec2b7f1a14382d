#include "coordinator/plan/schedule_plan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/plan/made_up_world.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Job;
using ::lory::v1::TrainerStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

struct SchedulePlanTest : ::testing::Test, MadeUpWorld {
  SchedulePlan Plan() { return PlanSchedule(view()); }

  // `job` failed in this slot and nowhere else.
  void Bar(const JobState& job, const SlotKey& key) {
    sessions.runs[job.name].barred[key] = {
        sessions.workers[key.worker].incarnation, "no such folder"};
  }
};

TEST_F(SchedulePlanTest, AGangStartsTogetherOrNotAtAll) {
  AddWorker("a");
  JobState& job = AddJob("pair", Job::QUEUED, 2, 2);
  SchedulePlan plan = Plan();
  EXPECT_THAT(plan.leased, IsEmpty());
  EXPECT_THAT(plan.waiting[job.name],
              HasSubstr("needs 2 slots at once, has 0 and 1 more is free"));
  state.draining_workers.insert("workers/a");
  EXPECT_THAT(Plan().waiting[job.name],
              HasSubstr("(1 worker attends with 1 slot, 1 to drain)"));
  state.draining_workers.clear();
  AddWorker("b");
  plan = Plan();
  EXPECT_THAT(plan.leased, ElementsAre(Pair(Slot("a"), job.name),
                                       Pair(Slot("b"), job.name)));
  ASSERT_THAT(plan.events, SizeIs(1));
  EXPECT_EQ(plan.events[0].job_state_changed().state(), Job::STARTING);
}

TEST_F(SchedulePlanTest, PriorityGoesBeforeAgeAndAgeBeforeName) {
  AddWorker("a");
  AddJob("zebra", Job::QUEUED);
  AddJob("aardvark", Job::QUEUED);
  EXPECT_THAT(Plan().leased, ElementsAre(Pair(Slot("a"), "jobs/zebra")));
  AddJob("urgent", Job::QUEUED).spec.set_priority(1);
  EXPECT_THAT(Plan().leased, ElementsAre(Pair(Slot("a"), "jobs/urgent")));
}

TEST_F(SchedulePlanTest, AJobGrowsOnlyWhileNobodyWaits) {
  AddWorker("a");
  AddWorker("b");
  JobState& job = AddJob("tiny", Job::RUNNING, 1, 2);
  Start(job, {Slot("a")});
  EXPECT_THAT(Plan().leased, ElementsAre(Pair(Slot("b"), job.name)));
  AddJob("trio", Job::QUEUED, 2, 2);
  EXPECT_THAT(Plan().leased, IsEmpty());
}

TEST_F(SchedulePlanTest, SmallerJobsPassOnlyForAWhile) {
  AddWorker("a", 2);
  JobState& running = AddJob("running", Job::RUNNING);
  Start(running, {Slot("a")});
  const std::string& large = AddJob("large", Job::QUEUED, 2, 2).name;
  const std::string& small = AddJob("small", Job::QUEUED).name;
  sessions.runs[large].waiting_since = now;
  EXPECT_THAT(Plan().leased, ElementsAre(Pair(Slot("a", 1), small)));
  now += options.backfill_limit + absl::Seconds(1);
  sessions.workers["workers/a"].last_heard = now;
  SchedulePlan plan = Plan();
  EXPECT_THAT(plan.leased, IsEmpty());
  EXPECT_THAT(plan.waiting[small], HasSubstr("kept for jobs/large"));
}

TEST_F(SchedulePlanTest, OnlyLowerPrioritiesGiveTheirSlots) {
  AddWorker("a");
  JobState& holder = AddJob("holder", Job::RUNNING);
  Start(holder, {Slot("a")});
  JobState& rival = AddJob("rival", Job::QUEUED);
  EXPECT_THAT(Plan().evicted, IsEmpty());
  rival.spec.set_priority(1);
  EXPECT_THAT(Plan().evicted,
              ElementsAre(Pair(holder.name,
                               HasSubstr("gives its slots to jobs/rival"))));
}

TEST_F(SchedulePlanTest, NobodyIsEvictedInVain) {
  AddWorker("a");
  JobState& holder = AddJob("holder", Job::RUNNING);
  Start(holder, {Slot("a")});
  AddJob("huge", Job::QUEUED, 3, 3).spec.set_priority(9);
  EXPECT_THAT(Plan().evicted, IsEmpty());
}

TEST_F(SchedulePlanTest, NobodyGivesASlotThatTheOtherMayNotUse) {
  AddWorker("a");
  AddWorker("b");
  JobState& first = AddJob("first", Job::RUNNING);
  first.spec.set_priority(20);
  Start(first, {Slot("a")});
  JobState& low = AddJob("low", Job::RUNNING);
  Start(low, {Slot("b")});
  JobState& barred = AddJob("barred", Job::QUEUED);
  barred.spec.set_priority(10);
  EXPECT_THAT(Plan().evicted, SizeIs(1));
  Bar(barred, Slot("b"));
  EXPECT_THAT(Plan().evicted, IsEmpty());
}

TEST_F(SchedulePlanTest, SlotsKeptForAJobAreFreeForOneAheadOfIt) {
  AddWorker("a", 3);
  JobState& low = AddJob("low", Job::RUNNING);
  low.spec.set_priority(-5);
  Start(low, {Slot("a")});
  JobState& waiting = AddJob("waiting", Job::QUEUED, 3, 3);
  sessions.runs[waiting.name].waiting_since =
      now - options.backfill_limit - absl::Seconds(1);
  JobState& urgent = AddJob("urgent", Job::QUEUED, 3, 3);
  urgent.spec.set_priority(10);
  EXPECT_THAT(Plan().evicted,
              ElementsAre(Pair(low.name, HasSubstr("jobs/urgent"))));
}

TEST_F(SchedulePlanTest, SlotsThatAWaitingJobMayNotUseAreNotKeptForIt) {
  AddWorker("a");
  AddWorker("b");
  JobState& first = AddJob("first", Job::RUNNING);
  Start(first, {Slot("a")});
  JobState& barred = AddJob("barred", Job::QUEUED);
  JobState& next = AddJob("next", Job::QUEUED);
  Bar(barred, Slot("b"));
  sessions.runs[barred.name].waiting_since =
      now - options.backfill_limit - absl::Seconds(1);
  EXPECT_THAT(Plan().leased, ElementsAre(Pair(Slot("b"), next.name)));
}

TEST_F(SchedulePlanTest, ASlotIsGivenBackWhenItsJobHasEnded) {
  AddWorker("a");
  JobState& job = AddJob("tiny", Job::RUNNING);
  Start(job, {Slot("a")});
  EXPECT_THAT(Plan().released, IsEmpty());
  job.state = Job::SUCCEEDED;
  EXPECT_THAT(Plan().released, ElementsAre(Slot("a")));
}

TEST_F(SchedulePlanTest, ASlotWhoseTrainerIsBeingEndedIsNotFree) {
  AddWorker("a");
  JobState& old = AddJob("old", Job::CANCELLING);
  PutTrainer(Slot("a"), old, TrainerStatus::TRAINING, 1, 5);
  sessions.leases.clear();
  JobState& next = AddJob("next", Job::QUEUED);
  EXPECT_THAT(Plan().leased, IsEmpty());
  EXPECT_THAT(ExplainSchedule(view(), next),
              ElementsAre("workers/a slot 0 cannot be used: a trainer of "
                          "jobs/old is still being ended."));
}

TEST_F(SchedulePlanTest, AWaitingTrainerOfADeletedJobIsNotItsSuccessors) {
  AddWorker("a");
  JobState& job = AddJob("tiny", Job::QUEUED);
  PutTrainer(Slot("a"), job, TrainerStatus::READY);
  sessions.leases.clear();
  EXPECT_THAT(Plan().leased, SizeIs(1));
  job.generations_before = 1;
  EXPECT_THAT(Plan().leased, IsEmpty());
}

TEST_F(SchedulePlanTest, AMissingDatasetIsNamedBeforeAnySlot) {
  AddWorker("a");
  JobState& job = AddJob("tiny", Job::QUEUED);
  sessions.missing_datasets["datasets/demo"] = "its manifest moved";
  SchedulePlan plan = Plan();
  EXPECT_THAT(plan.leased, IsEmpty());
  EXPECT_THAT(plan.waiting[job.name],
              HasSubstr("datasets/demo cannot be used: its manifest moved"));
}

}  // namespace
}  // namespace lory::coordinator
