#include "coordinator/plan/job_plan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/plan/made_up_world.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Job;
using ::lory::v1::TrainerStatus;
using ::testing::HasSubstr;

struct JobPlanTest : ::testing::Test, MadeUpWorld {
  JobPlanTest() {
    AddWorker("a");
    Start(job, {Slot("a")});
  }

  // The state the job is to go to; STATE_UNSPECIFIED: it stays.
  Job::State Next() {
    Follow(job);
    const Plan plan = PlanJob(view(), job);
    if (plan.events.empty()) return Job::STATE_UNSPECIFIED;
    reason = plan.reason;
    return plan.events.back().job_state_changed().state();
  }

  void Say(TrainerStatus::Phase phase, int64_t applied_step) {
    PutTrainer(Slot("a"), job, phase, job.generation.number, applied_step);
  }

  JobState& job = AddJob("tiny", Job::STARTING);
  std::string reason;
};

TEST_F(JobPlanTest, ItRunsOnceAStepOfTheGenerationIsApplied) {
  job.started.start_step = 10;
  EXPECT_EQ(Next(), Job::STATE_UNSPECIFIED);
  Say(TrainerStatus::TRAINING, 11);
  EXPECT_EQ(Next(), Job::RUNNING);
}

TEST_F(JobPlanTest, AFaultMakesItRecover) {
  job.state = Job::RUNNING;
  End(job, /*by_fault=*/true);
  EXPECT_EQ(Next(), Job::RECOVERING);
  job.state = Job::RUNNING;
  End(job, /*by_fault=*/false);
  EXPECT_EQ(Next(), Job::STATE_UNSPECIFIED);
}

TEST_F(JobPlanTest, StepsThatAreTrainedAgainAreEvaluatedAgain) {
  lory::v1::Evaluation* evaluation =
      sessions.runs[job.name].progress.mutable_evaluation();
  evaluation->add_domains()->set_domain("news");
  const auto evaluated = [&](int64_t step, double perplexity) {
    evaluation->set_step(step);
    evaluation->mutable_overall()->set_perplexity(perplexity);
    const Plan plan = PlanEvaluation(view(), job);
    if (plan.events.empty()) return false;
    job.evaluation = plan.events[0].job_event_added().evaluation();
    return true;
  };
  EXPECT_TRUE(evaluated(50, 30));
  EXPECT_FALSE(evaluated(50, 30));
  EXPECT_TRUE(evaluated(900, 20));
  // From 60 on anew.
  job.started.start_step = 60;
  EXPECT_FALSE(evaluated(900, 20));
  EXPECT_FALSE(evaluated(50, 30));
  EXPECT_TRUE(evaluated(100, 29));
  EXPECT_TRUE(evaluated(100, 28));
  EXPECT_FALSE(evaluated(100, 28));
}

TEST_F(JobPlanTest, TheLastCheckpointMakesItSucceed) {
  job.state = Job::RUNNING;
  Say(TrainerStatus::FINISHED, 100);
  EXPECT_EQ(Next(), Job::STATE_UNSPECIFIED);
  Commit(job, 100);
  EXPECT_EQ(Next(), Job::SUCCEEDED);
}

TEST_F(JobPlanTest, AJobOfFewStepsIsSeenToRun) {
  Say(TrainerStatus::FINISHED, 100);
  Commit(job, 100);
  EXPECT_EQ(Next(), Job::RUNNING);
}

TEST_F(JobPlanTest, APermanentErrorFailsIt) {
  job.state = Job::RUNNING;
  sessions.runs[job.name].permanent_error = "wrong vocabulary";
  EXPECT_EQ(Next(), Job::FAILED);
  EXPECT_EQ(reason, "wrong vocabulary");
}

TEST_F(JobPlanTest, TheJournalSaysWhetherItWouldFailAgain) {
  job.state = Job::RUNNING;
  JobRun& run = sessions.runs[job.name];
  run.permanent_error = "the loss is not finite";
  for (const bool of_job : {false, true}) {
    run.error_is_of_job = of_job;
    Follow(job);
    const Plan plan = PlanJob(view(), job);
    const auto& event = plan.events.back().job_state_changed();
    EXPECT_EQ(event.state(), Job::FAILED);
    EXPECT_EQ(event.error_is_of_job(), of_job);
  }
}

TEST_F(JobPlanTest, ExitsWithoutAStepInBetweenFailIt) {
  job.state = Job::RECOVERING;
  sessions.runs[job.name].exits_without_progress = options.exit_limit - 1;
  sessions.runs[job.name].last_error = "exit status 1";
  sessions.runs[job.name].furthest_step = 10;
  EXPECT_NE(Next(), Job::FAILED);
  sessions.runs[job.name].exits_without_progress = options.exit_limit;
  EXPECT_EQ(Next(), Job::FAILED);
  EXPECT_THAT(reason, HasSubstr("the last: exit status 1"));
}

TEST_F(JobPlanTest, APauseEndsWithTheCheckpointOfTheStepItStoppedAt) {
  job.state = Job::PAUSING;
  Commit(job, 5);
  Say(TrainerStatus::STOPPED, 12);
  EXPECT_EQ(Next(), Job::STATE_UNSPECIFIED);
  Commit(job, 12);
  EXPECT_EQ(Next(), Job::PAUSED);
  EXPECT_THAT(reason, HasSubstr("resumes at step 12"));
}

TEST_F(JobPlanTest, APauseWithoutAnyStateLeftIsOver) {
  job.state = Job::PAUSING;
  End(job, /*by_fault=*/true);
  EXPECT_EQ(Next(), Job::STATE_UNSPECIFIED);  // it holds the state still
  sessions.workers["workers/a"].trainers.clear();
  EXPECT_EQ(Next(), Job::PAUSED);
}

TEST_F(JobPlanTest, APauseDoesNotWaitForWhoCouldNotRestoreAState) {
  job.state = Job::PAUSING;
  Commit(job, 5);
  Say(TrainerStatus::PREPARED, -1);
  EXPECT_EQ(Next(), Job::STATE_UNSPECIFIED);  // it may yet
  Say(TrainerStatus::BROKEN, -1);
  EXPECT_EQ(Next(), Job::PAUSED);
}

TEST_F(JobPlanTest, TheLastStepGoesBeforeAPause) {
  job.state = Job::PAUSING;
  Say(TrainerStatus::FINISHED, 100);
  Commit(job, 100);
  EXPECT_EQ(Next(), Job::SUCCEEDED);
}

TEST_F(JobPlanTest, AnEvictedJobIsQueuedAgain) {
  job.state = Job::RUNNING;
  sessions.runs[job.name].evicted = "gives its slots to jobs/urgent";
  Say(TrainerStatus::STOPPED, 12);
  Commit(job, 12);
  EXPECT_EQ(Next(), Job::QUEUED);
  EXPECT_THAT(reason, HasSubstr("gives its slots to jobs/urgent"));
}

TEST_F(JobPlanTest, ACancelEndsWithTheLastTrainer) {
  job.state = Job::CANCELLING;
  EXPECT_EQ(Next(), Job::STATE_UNSPECIFIED);
  sessions.workers["workers/a"].trainers.clear();
  EXPECT_EQ(Next(), Job::CANCELLED);
}

TEST_F(JobPlanTest, ACancelDoesNotWaitForALostWorker) {
  job.state = Job::CANCELLING;
  sessions.workers["workers/a"].stream_open = false;
  now += options.lease + absl::Seconds(1);
  EXPECT_EQ(Next(), Job::CANCELLED);
}

}  // namespace
}  // namespace lory::coordinator
