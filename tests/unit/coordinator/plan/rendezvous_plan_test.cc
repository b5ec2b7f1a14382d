#include "coordinator/plan/rendezvous_plan.h"

#include "coordinator/state/job_events.h"
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
using ::testing::SizeIs;

struct RendezvousPlanTest : ::testing::Test, MadeUpWorld {
  RendezvousPlanTest() {
    AddWorker("a");
    AddWorker("b");
  }

  RendezvousPlan Plan(const JobState& job) {
    Follow(job);
    return PlanRendezvous(view(), job, "token");
  }

  // What went on: nothing, or the kinds of the plan's events.
  static std::string Kinds(const RendezvousPlan& plan) {
    std::string kinds;
    for (const auto& event : plan.events) {
      kinds += event.has_generation_opened()    ? "opened "
               : event.has_generation_started() ? "started "
               : event.has_generation_ended() ? Ended(event.generation_ended())
                                              : "other ";
    }
    return kinds;
  }

  static std::string Ended(const lory::internal::v1::GenerationEnded& ended) {
    return ended.by_fault() ? "ended:" + CauseName(ended.cause()) + " "
                            : "ended ";
  }

  void Pass(absl::Duration time) {
    now += time;
    for (auto& [name, worker] : sessions.workers) {
      if (worker.stream_open) worker.last_heard = now;
    }
  }

  JobState& job = AddJob("tiny", Job::STARTING, 2, 2);
};

TEST_F(RendezvousPlanTest, ItOpensWhenTheGangIsUp) {
  PutTrainer(Slot("a"), job, TrainerStatus::READY);
  PutTrainer(Slot("b"), job, TrainerStatus::STARTING);
  RendezvousPlan plan = Plan(job);
  EXPECT_EQ(Kinds(plan), "");
  EXPECT_EQ(plan.reason,
            "1 of at least 2 trainers are ready; 2 slots are held");
  PutTrainer(Slot("b"), job, TrainerStatus::READY);
  plan = Plan(job);
  ASSERT_EQ(Kinds(plan), "opened ");
  EXPECT_EQ(plan.events[0].generation_opened().generation(), 1);
}

TEST_F(RendezvousPlanTest, ItStartsWhenAllHavePrepared) {
  Open(job, {Slot("a"), Slot("b")});
  PutTrainer(Slot("a"), job, TrainerStatus::PREPARED, 1);
  PutTrainer(Slot("b"), job, TrainerStatus::READY);
  EXPECT_EQ(Plan(job).reason,
            "waits for workers/b slot 0 to prepare generation 1");
  PutTrainer(Slot("b"), job, TrainerStatus::PREPARED, 1);
  const RendezvousPlan plan = Plan(job);
  ASSERT_EQ(Kinds(plan), "started ");
  const auto& started = plan.events[0].generation_started();
  EXPECT_EQ(started.start_step(), 0);
  EXPECT_EQ(started.source_rank(), -1);
  EXPECT_THAT(started.peer_endpoints(), SizeIs(2));
}

TEST_F(RendezvousPlanTest, AStateFromOutsideTheNewestGenerationDoesNotCount) {
  Open(job, {Slot("a"), Slot("b")});
  PutTrainer(Slot("a"), job, TrainerStatus::PREPARED, 1, 40);
  PutTrainer(Slot("b"), job, TrainerStatus::PREPARED, 1, -1);
  const RendezvousPlan plan = Plan(job);
  ASSERT_EQ(Kinds(plan), "started ");
  EXPECT_EQ(plan.events[0].generation_started().source_rank(), -1);
  EXPECT_EQ(plan.events[0].generation_started().start_step(), 0);
}

TEST_F(RendezvousPlanTest, WhoDoesNotPrepareIsLeftOutAndMustEnd) {
  Open(job, {Slot("a"), Slot("b")});
  PutTrainer(Slot("a"), job, TrainerStatus::PREPARED, 1);
  PutTrainer(Slot("b"), job, TrainerStatus::READY);
  Pass(options.prepare_limit + absl::Milliseconds(1));
  const RendezvousPlan plan = Plan(job);
  EXPECT_EQ(Kinds(plan), "ended:prepare ");
  EXPECT_THAT(plan.condemned, ElementsAre(Slot("b")));
  EXPECT_THAT(plan.reason,
              HasSubstr("did not prepare generation 1 within 10s"));
}

TEST_F(RendezvousPlanTest, ALongStepDelaysTheLimit) {
  Open(job, {Slot("a"), Slot("b")});
  PutTrainer(Slot("a"), job, TrainerStatus::PREPARED, 1);
  PutTrainer(Slot("b"), job, TrainerStatus::READY);
  sessions.runs[job.name].step_seconds = 20;
  Pass(absl::Seconds(59));
  EXPECT_EQ(Kinds(Plan(job)), "");
  Pass(absl::Seconds(2));
  EXPECT_EQ(Kinds(Plan(job)), "ended:prepare ");
}

TEST_F(RendezvousPlanTest, WhoIsBusyIsWaitedForWhileItMoves) {
  Open(job, {Slot("a"), Slot("b")});
  PutTrainer(Slot("a"), job, TrainerStatus::PREPARED, 1);
  PutTrainer(Slot("b"), job, TrainerStatus::TRAINING);
  for (int i = 0; i < 9; ++i) {
    Pass(absl::Seconds(9));
    sessions.workers["workers/b"].moved[0] = now;
    EXPECT_EQ(Kinds(Plan(job)), "");
  }
  // Only who is idle is condemned, and who stands still.
  sessions.workers["workers/b"].trainers[0].set_phase(TrainerStatus::BROKEN);
  EXPECT_THAT(Plan(job).condemned, ElementsAre(Slot("b")));
  sessions.workers["workers/b"].trainers[0].set_phase(TrainerStatus::TRAINING);
  Pass(absl::Seconds(11));
  EXPECT_THAT(Plan(job).condemned, ElementsAre(Slot("b")));
}

struct RunningGeneration : RendezvousPlanTest {
  RunningGeneration() {
    job.state = Job::RUNNING;
    job.spec.set_min_workers(1);
    Start(job, {Slot("a"), Slot("b")});
  }
};

TEST_F(RunningGeneration, ABrokenStreamAloneIsSuspicion) {
  sessions.workers["workers/b"].stream_open = false;
  EXPECT_EQ(Kinds(Plan(job)), "");
  PutTrainer(Slot("a"), job, TrainerStatus::BROKEN, 1, 10).set_failed_rank(1);
  const RendezvousPlan plan = Plan(job);
  EXPECT_EQ(Kinds(plan), "ended:silence ");
  EXPECT_THAT(plan.reason, HasSubstr("a peer's collective failed at it"));
}

TEST_F(RunningGeneration, SilenceAloneIsSuspicionToo) {
  Pass(absl::ZeroDuration());
  now += options.lease + absl::Seconds(1);
  sessions.workers["workers/a"].last_heard = now;
  EXPECT_EQ(Kinds(Plan(job)), "");
  sessions.workers["workers/b"].stream_open = false;
  EXPECT_EQ(Kinds(Plan(job)), "ended:silence ");
}

TEST_F(RunningGeneration, AReplacedProcessIsProof) {
  sessions.workers["workers/b"].trainers[0].set_incarnation("another");
  const RendezvousPlan plan = Plan(job);
  EXPECT_EQ(Kinds(plan), "ended:exit ");
  EXPECT_THAT(plan.reason, HasSubstr("has a new trainer instead"));
}

TEST_F(RunningGeneration, ACollectiveThatFailedWithoutACulpritEndsItSoon) {
  PutTrainer(Slot("a"), job, TrainerStatus::BROKEN, 1, 10)
      .set_error("connection reset");
  EXPECT_EQ(Kinds(Plan(job)), "");
  Pass(options.suspicion);
  const RendezvousPlan plan = Plan(job);
  EXPECT_EQ(Kinds(plan), "ended:collective ");
  EXPECT_THAT(plan.reason, HasSubstr("connection reset"));
}

struct UnreadableRestore : RunningGeneration {
  UnreadableRestore() {
    Commit(job, 5);
    Commit(job, 10);
    job.checkpoints[10].set_name("jobs/tiny/checkpoints/10");
    job.started.restored_checkpoint_step = 10;
    TrainerStatus& broken =
        PutTrainer(Slot("b"), job, TrainerStatus::BROKEN, 1);
    broken.set_unreadable_checkpoint("jobs/tiny/checkpoints/10");
    broken.set_error("part 0 is cut");
    Plan(job);
    Pass(options.suspicion);
  }
};

TEST_F(UnreadableRestore, IsLookedAtBeforeAnythingIsDecided) {
  const RendezvousPlan plan = Plan(job);
  EXPECT_EQ(Kinds(plan), "");
  EXPECT_EQ(plan.reason,
            "workers/b slot 0 cannot read jobs/tiny/checkpoints/10: part 0 is "
            "cut; the coordinator looks at it");
}

TEST_F(UnreadableRestore, WhatCannotBeLookedAtNowIsWaitedFor) {
  sessions.runs[job.name].look_failure = "the mount is gone";
  Pass(absl::Hours(1));
  const RendezvousPlan plan = Plan(job);
  EXPECT_EQ(Kinds(plan), "");
  EXPECT_THAT(plan.reason,
              HasSubstr("looks at it again, for: the mount is gone"));
}

TEST_F(UnreadableRestore, DamageLeadsToTheCheckpointBefore) {
  job.checkpoints[10].set_state(lory::v1::Checkpoint::DAMAGED);
  EXPECT_EQ(Kinds(Plan(job)), "ended:checkpoint ");
  End(job, /*by_fault=*/true);
  Open(job, {Slot("a"), Slot("b")});
  PutTrainer(Slot("a"), job, TrainerStatus::PREPARED, 2);
  PutTrainer(Slot("b"), job, TrainerStatus::PREPARED, 2);
  const RendezvousPlan plan = Plan(job);
  ASSERT_EQ(Kinds(plan), "started ");
  EXPECT_EQ(plan.events[0].generation_started().restored_checkpoint_step(), 5);
}

TEST_F(UnreadableRestore, WithoutAWholeOneItStartsOverAndSaysSo) {
  job.checkpoints[5].set_state(lory::v1::Checkpoint::DAMAGED);
  job.checkpoints[10].set_state(lory::v1::Checkpoint::DAMAGED);
  End(job, /*by_fault=*/true);
  Open(job, {Slot("a"), Slot("b")});
  PutTrainer(Slot("a"), job, TrainerStatus::PREPARED, 2);
  PutTrainer(Slot("b"), job, TrainerStatus::PREPARED, 2);
  const RendezvousPlan plan = Plan(job);
  ASSERT_EQ(Kinds(plan), "started other ");
  EXPECT_EQ(plan.events[0].generation_started().start_step(), 0);
  EXPECT_THAT(plan.events[1].job_event_added().event().message(),
              HasSubstr("training starts over"));
}

TEST_F(UnreadableRestore, AWholeOneIsTriedAgain) {
  sessions.runs[job.name].whole_for = 1;
  const RendezvousPlan plan = Plan(job);
  EXPECT_EQ(Kinds(plan), "ended:checkpoint ");
  EXPECT_THAT(plan.reason, HasSubstr("the coordinator finds it whole"));
}

TEST_F(UnreadableRestore, OneWrittenAnewSinceIsAnother) {
  job.checkpoints[10].set_generation(1);
  EXPECT_THAT(Plan(job).reason, HasSubstr("a collective failed"));
}

TEST_F(RunningGeneration, AContradictoryRoundMakesAllAgreeAnew) {
  sessions.runs[job.name].round.set_id(3);
  sessions.workers["workers/b"].trainers[0].mutable_round()->set_id(4);
  const RendezvousPlan plan = Plan(job);
  EXPECT_EQ(Kinds(plan), "ended opened ");
  EXPECT_THAT(plan.reason, HasSubstr("holds a round of before the restart"));
}

TEST_F(RunningGeneration, AJoinerWaitsForAnotherThatStarts) {
  job.spec.set_max_workers(4);
  AddWorker("c");
  AddWorker("d");
  PutTrainer(Slot("c"), job, TrainerStatus::READY);
  PutTrainer(Slot("d"), job, TrainerStatus::STARTING);
  EXPECT_EQ(Kinds(Plan(job)), "");
  Pass(options.join_wait);
  const RendezvousPlan plan = Plan(job);
  ASSERT_EQ(Kinds(plan), "ended opened ");
  EXPECT_THAT(plan.events[1].generation_opened().members(), SizeIs(3));
}

TEST_F(RunningGeneration, NobodyIsTakenInAtTheLastStep) {
  AddWorker("c");
  PutTrainer(Slot("c"), job, TrainerStatus::READY);
  job.spec.set_max_workers(3);
  sessions.workers["workers/a"].trainers[0].set_applied_step(100);
  EXPECT_EQ(Kinds(Plan(job)), "");
}

TEST_F(RunningGeneration, AStateThatDrainsIsHandedOverFirst) {
  state.draining_workers = {"workers/a", "workers/b"};
  AddWorker("c");
  PutTrainer(Slot("c"), job, TrainerStatus::READY);
  Pass(options.join_wait);
  const RendezvousPlan plan = Plan(job);
  ASSERT_EQ(Kinds(plan), "ended opened ");
  // Beyond max_workers, for as long as that takes.
  EXPECT_THAT(plan.events[1].generation_opened().members(), SizeIs(3));
}

TEST_F(RunningGeneration, AfterAFaultTheSurvivorsGoOn) {
  End(job, /*by_fault=*/true);
  job.state = Job::RECOVERING;
  sessions.workers["workers/b"].trainers.clear();
  sessions.leases.erase(Slot("b"));
  const RendezvousPlan plan = Plan(job);
  ASSERT_EQ(Kinds(plan), "opened ");
  EXPECT_THAT(plan.reason, HasSubstr("left after the fault"));
}

TEST_F(RunningGeneration, AStateBehindABrokenStreamIsWaitedFor) {
  End(job, /*by_fault=*/true);
  job.state = Job::RECOVERING;
  // The trainer of a was killed and is back without a state; b's stream broke.
  PutTrainer(Slot("a"), job, TrainerStatus::READY).set_incarnation("new");
  sessions.workers["workers/b"].stream_open = false;
  Plan(job);
  Pass(options.join_wait);
  EXPECT_EQ(Plan(job).reason,
            "waits for workers/b slot 0, which holds the state, to come back");
  Pass(options.lease);
  EXPECT_EQ(Kinds(Plan(job)), "opened ");
}

TEST_F(RunningGeneration, AStateBehindABrokenStreamIsNotWaitedForByItsEqual) {
  End(job, /*by_fault=*/true);
  job.state = Job::RECOVERING;
  sessions.workers["workers/b"].stream_open = false;
  EXPECT_EQ(Kinds(Plan(job)), "opened ");
}

TEST_F(RunningGeneration, AfterARestartWhoMayComeBackIsWaitedFor) {
  End(job, /*by_fault=*/true);
  job.state = Job::RECOVERING;
  sessions.started = now;
  sessions.workers.erase("workers/b");
  EXPECT_EQ(Plan(job).reason, "waits for workers/b slot 0 to report");
  now += options.lease;
  sessions.workers["workers/a"].last_heard = now;
  EXPECT_EQ(Kinds(Plan(job)), "opened ");
}

}  // namespace
}  // namespace lory::coordinator
