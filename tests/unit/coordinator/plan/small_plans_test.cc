#include "absl/strings/str_cat.h"
#include "coordinator/plan/checkpoint_plan.h"
#include "coordinator/plan/rendezvous_plan.h"
#include "coordinator/plan/retention_plan.h"
#include "coordinator/plan/round_plan.h"
#include "coordinator/state/names.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::coordinator {
namespace {

using ::lory::testing::StatusIs;
using ::lory::v1::Checkpoint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);

// ---- limits ----

TEST(PlanOptions, TheDefaultsAreInOrder) {
  EXPECT_OK(CheckPlanOptions(PlanOptions()));
}

TEST(PlanOptions, TwoLimitsThatContradictAreNamed) {
  PlanOptions options;
  options.lease = absl::Seconds(30);
  EXPECT_THAT(CheckPlanOptions(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--lease (30s) must be below "
                                 "--collective-timeout (20s)")));
  options = {};
  options.heartbeat = absl::ZeroDuration();
  EXPECT_THAT(
      CheckPlanOptions(options),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--heartbeat")));
}

// ---- shares ----

TEST(PlanShares, EqualRanksShareAlike) {
  EXPECT_THAT(PlanShares(8, {0.1, 0.1}), ElementsAre(4, 4));
  EXPECT_THAT(PlanShares(8, {0, 0}), ElementsAre(4, 4));
}

TEST(PlanShares, ASlowRankGetsLess) {
  EXPECT_THAT(PlanShares(9, {0.1, 0.2}), ElementsAre(6, 3));
}

TEST(PlanShares, EveryRankHasOneHoweverSlow) {
  EXPECT_THAT(PlanShares(4, {0.1, 100.0}), ElementsAre(3, 1));
  EXPECT_THAT(PlanShares(3, {1, 1, 1}), ElementsAre(1, 1, 1));
}

TEST(PlanShares, AnUnknownSpeedIsTakenAsTheMean) {
  EXPECT_THAT(PlanShares(6, {0.1, 0, 0.1}), ElementsAre(2, 2, 2));
}

TEST(PlanShares, AlwaysAddUp) {
  for (int count = 3; count < 60; ++count) {
    int sum = 0;
    for (const int share : PlanShares(count, {0.3, 0.1, 0.7})) sum += share;
    EXPECT_EQ(sum, count);
  }
}

// ---- whose state a generation starts from ----

TEST(ChooseStart, NobodyHasAStateAndThereIsNoCheckpoint) {
  const StartChoice choice = ChooseStart({{-1, ""}, {-1, ""}}, -1);
  EXPECT_EQ(choice.start_step, 0);
  EXPECT_EQ(choice.source_rank, -1);
  EXPECT_EQ(choice.restored_checkpoint_step, -1);
}

TEST(ChooseStart, NobodyHasAStateSoTheCheckpointIsRestored) {
  const StartChoice choice = ChooseStart({{-1, ""}, {-1, ""}}, 40);
  EXPECT_EQ(choice.start_step, 40);
  EXPECT_EQ(choice.restored_checkpoint_step, 40);
}

TEST(ChooseStart, TheHighestAppliedStepIsTheSource) {
  const StartChoice choice = ChooseStart({{7, "a"}, {8, "b"}, {-1, ""}}, 5);
  EXPECT_EQ(choice.start_step, 8);
  EXPECT_EQ(choice.source_rank, 1);
  EXPECT_THAT(choice.odd_ranks, IsEmpty());
}

TEST(ChooseStart, TheMajorityOfDigestsWinsAndTheOddOneIsNamed) {
  const StartChoice choice = ChooseStart({{8, "x"}, {8, "a"}, {8, "a"}}, -1);
  EXPECT_EQ(choice.source_rank, 1);
  EXPECT_THAT(choice.odd_ranks, ElementsAre(0));
}

TEST(ChooseStart, AnEvenVoteGoesToTheLowestRank) {
  const StartChoice choice = ChooseStart({{8, "a"}, {8, "b"}}, -1);
  EXPECT_EQ(choice.source_rank, 0);
  EXPECT_THAT(choice.odd_ranks, ElementsAre(1));
}

TEST(ChooseStart, ACommittedCheckpointIsNeverUndone) {
  const StartChoice choice = ChooseStart({{8, "a"}}, 12);
  EXPECT_EQ(choice.start_step, 12);
  EXPECT_EQ(choice.source_rank, -1);
  EXPECT_EQ(choice.restored_checkpoint_step, 12);
}

// ---- when to checkpoint ----

CheckpointHistory CheckpointedAt(int64_t step, absl::Time time) {
  return {.last_step = step,
          .last_time = time,
          .cost = absl::Milliseconds(500),
          .mean_time_to_failure = absl::Hours(1)};
}

TEST(PlanCheckpoint, NeverTakesTwoAtOneStep) {
  const auto decision =
      PlanCheckpoint(kStart + absl::Hours(9), 40, CheckpointedAt(40, kStart),
                     {.every_steps = 1, .every = absl::Seconds(1)});
  EXPECT_FALSE(decision.take);
  EXPECT_THAT(decision.reason, HasSubstr("nothing new since step 40"));
}

TEST(PlanCheckpoint, TakesOneWhenTheStepsAskedForHavePassed) {
  const CheckpointPolicy policy{.every_steps = 50};
  const auto history = CheckpointedAt(100, kStart);
  EXPECT_FALSE(PlanCheckpoint(kStart, 149, history, policy).take);
  EXPECT_TRUE(PlanCheckpoint(kStart, 150, history, policy).take);
}

TEST(PlanCheckpoint, WithoutARuleFollowsMeasuredCostAndFailures) {
  // sqrt(2 * 0.5 s * 3600 s) = 60 s.
  const auto history = CheckpointedAt(100, kStart);
  const auto early =
      PlanCheckpoint(kStart + absl::Seconds(59), 120, history, {});
  EXPECT_FALSE(early.take);
  const auto due = PlanCheckpoint(kStart + absl::Seconds(60), 120, history, {});
  EXPECT_TRUE(due.take);
  EXPECT_THAT(due.reason, HasSubstr("1m suits a cost of 500ms"));
}

TEST(YoungInterval, LeavesNineTenthsOfTheTimeToTraining) {
  EXPECT_EQ(YoungInterval(absl::Seconds(5), absl::Seconds(20)),
            absl::Seconds(50));
}

// ---- which checkpoints stay ----

JobState JobWithCheckpoints(const std::vector<Checkpoint::State>& states,
                            int keep) {
  JobState job;
  job.name = "jobs/tiny";
  job.state = lory::v1::Job::RUNNING;
  job.spec.mutable_checkpoint()->set_keep_count(keep);
  int64_t step = 0;
  for (const Checkpoint::State state : states) {
    step += 10;
    Checkpoint& checkpoint = job.checkpoints[step];
    checkpoint.set_name(CheckpointNameOf(job.name, step));
    checkpoint.set_step(step);
    checkpoint.set_state(state);
  }
  return job;
}

std::vector<std::string> DeletedBy(const JobState& job) {
  std::vector<std::string> names;
  for (const auto& record : PlanRetention(CoordinatorState(), job).events) {
    names.push_back(record.checkpoint_state_changed().name());
  }
  return names;
}

TEST(PlanRetention, KeepsTheNewest) {
  const auto kCommitted = Checkpoint::COMMITTED;
  const JobState job =
      JobWithCheckpoints({kCommitted, kCommitted, kCommitted}, 2);
  EXPECT_THAT(DeletedBy(job), ElementsAre("jobs/tiny/checkpoints/10"));
}

TEST(PlanRetention, DoesNotCountDamagedOnes) {
  const JobState job = JobWithCheckpoints(
      {Checkpoint::COMMITTED, Checkpoint::DAMAGED, Checkpoint::DAMAGED}, 1);
  EXPECT_THAT(DeletedBy(job), IsEmpty());
}

TEST(PlanRetention, KeepsWhatTheNewestGenerationBeganFrom) {
  JobState job =
      JobWithCheckpoints({Checkpoint::COMMITTED, Checkpoint::COMMITTED}, 1);
  job.generation.number = job.started.number = 4;
  job.started.restored_checkpoint_step = 10;
  EXPECT_THAT(DeletedBy(job), IsEmpty());
  job.checkpoints[20].set_generation(4);
  EXPECT_THAT(DeletedBy(job), ElementsAre("jobs/tiny/checkpoints/10"));
}

TEST(CheckDeletable, RefusesTheNewest) {
  const JobState job =
      JobWithCheckpoints({Checkpoint::COMMITTED, Checkpoint::COMMITTED}, 2);
  const CoordinatorState state;
  EXPECT_OK(CheckDeletable(state, job, 10));
  EXPECT_THAT(CheckDeletable(state, job, 20),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("resumed from")));
}

TEST(PlanRetention, KeepsWhatAnotherJobIsToBeginFrom) {
  CoordinatorState state;
  const JobState& job = state.jobs["jobs/tiny"] =
      JobWithCheckpoints({Checkpoint::COMMITTED, Checkpoint::COMMITTED}, 1);
  JobState& tuned = state.jobs["jobs/tuned"];
  tuned.name = "jobs/tuned";
  tuned.initial_checkpoint = job.checkpoints.at(10);

  EXPECT_TRUE(PlanRetention(state, job).events.empty());
  EXPECT_THAT(CheckDeletable(state, job, 10),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("jobs/tuned begins from")));
  EXPECT_THAT(CheckNoneBegins(state, job),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("jobs/tuned begins from")));

  // With two of its own, of which one may be damaged, it needs it no more.
  for (const int64_t step : {5, 6}) {
    EXPECT_TRUE(PlanRetention(state, job).events.empty());
    Checkpoint& own = tuned.checkpoints[step];
    own.set_step(step);
    own.set_state(Checkpoint::COMMITTED);
  }
  EXPECT_EQ(PlanRetention(state, job).events.size(), 1u);
  EXPECT_OK(CheckDeletable(state, job, 10));
  EXPECT_OK(CheckNoneBegins(state, job));
  tuned.checkpoints.clear();
  tuned.state = lory::v1::Job::CANCELLED;
  EXPECT_OK(CheckNoneBegins(state, job));
}

}  // namespace
}  // namespace lory::coordinator
