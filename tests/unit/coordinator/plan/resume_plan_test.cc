#include "coordinator/plan/resume_plan.h"

#include "common/base/error_detail.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/coordinator/plan/made_up_world.h"

namespace lory::coordinator {
namespace {

using ::lory::testing::StatusIs;
using ::lory::v1::Checkpoint;
using ::lory::v1::Job;
using ::testing::AllOf;
using ::testing::HasSubstr;

struct ResumePlanTest : ::testing::Test, MadeUpWorld {
  ResumePlanTest() {
    job.reason = "the disk is full";
    job.dataset_sha256 = "abc";
    state.datasets["datasets/demo"].set_manifest_sha256("abc");
  }

  absl::Status Refusal() const { return PlanResume(state, job).status(); }
  std::string Reason() const { return PlanResume(state, job)->reason; }
  std::string Explained() const { return ExplainResume(state, job); }

  // It begins from a checkpoint of another job.
  Checkpoint& BeginFromAnother() {
    JobState& other = AddJob("other", Job::SUCCEEDED);
    Commit(other, 30);
    other.checkpoints[30].set_name("jobs/other/checkpoints/30");
    other.checkpoints[30].set_generation(4);
    job.initial_checkpoint = other.checkpoints[30];
    job.spec.set_init_from("jobs/other");
    return other.checkpoints[30];
  }

  JobState& job = AddJob("tiny", Job::FAILED);
};

TEST_F(ResumePlanTest, AFailedJobGoesOnFromItsNewestCheckpoint) {
  Commit(job, 20);
  Commit(job, 40);
  job.checkpoints[40].set_state(Checkpoint::DAMAGED);
  const auto plan = PlanResume(state, job);
  ASSERT_OK(plan);
  ASSERT_EQ(plan->events.size(), 1u);
  EXPECT_EQ(plan->events[0].job_state_changed().state(), Job::QUEUED);
  EXPECT_THAT(plan->events[0].job_state_changed().reason(),
              AllOf(HasSubstr("goes on from the checkpoint of step 20"),
                    HasSubstr("it was FAILED: the disk is full")));
  EXPECT_EQ(Explained(),
            "With `loryctl job resume tiny` it goes on from the checkpoint of "
            "step 20.");
}

TEST_F(ResumePlanTest, AFailedJobWithoutACheckpointBeginsAnew) {
  EXPECT_THAT(Reason(), HasSubstr("begins anew;"));
  BeginFromAnother();
  EXPECT_THAT(Reason(), HasSubstr("begins anew from jobs/other;"));
}

TEST_F(ResumePlanTest, WhatAJobComputesWouldFailAgain) {
  job.error_is_of_job = true;
  EXPECT_EQ(ReasonOf(Refusal()), "FAULT_OF_JOB");
  EXPECT_THAT(Refusal().message(),
              HasSubstr("submit another with the cause mended"));
  Commit(job, 20);
  EXPECT_THAT(Refusal(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("submit another with `init_from`")));
  EXPECT_THAT(Explained(), HasSubstr("It cannot be resumed: jobs/tiny failed"));
}

TEST_F(ResumePlanTest, ACancelledJobNeedsACheckpoint) {
  job.state = Job::CANCELLED;
  EXPECT_EQ(ReasonOf(Refusal()), "JOB_STATE");
  Commit(job, 20);
  EXPECT_OK(Refusal());
  job.checkpoints[20].set_state(Checkpoint::DELETED);
  EXPECT_EQ(ReasonOf(Refusal()), "JOB_STATE");
}

TEST_F(ResumePlanTest, OnlyAStoppedJobIsResumed) {
  for (int value = Job::QUEUED; value <= Job::FAILED; ++value) {
    job.state = static_cast<Job::State>(value);
    if (job.state == Job::CANCELLED || job.state == Job::FAILED) continue;
    EXPECT_EQ(Refusal().ok(), job.state == Job::PAUSED);
    EXPECT_EQ(Explained(), "");
  }
  job.state = Job::PAUSED;
  EXPECT_EQ(Reason(), "resumed on request");
}

TEST_F(ResumePlanTest, OtherDataUnderTheSameNameAreNotTrainedOn) {
  Commit(job, 20);
  state.datasets["datasets/demo"].set_manifest_sha256("def");
  EXPECT_EQ(ReasonOf(Refusal()), "DATASET_CHANGED");
  EXPECT_THAT(Refusal().message(), HasSubstr("has other contents now"));
  state.datasets.clear();
  EXPECT_EQ(ReasonOf(Refusal()), "DATASET_CHANGED");
  EXPECT_THAT(Refusal().message(), HasSubstr("is not registered any more"));
}

TEST_F(ResumePlanTest, WhatItBeginsFromMustBeThereUnlessItHasItsOwn) {
  Checkpoint& initial = BeginFromAnother();
  EXPECT_OK(Refusal());
  initial.set_generation(5);  // of a later job of that name
  EXPECT_EQ(ReasonOf(Refusal()), "NO_SUCH_CHECKPOINT");
  initial.set_generation(4);
  initial.set_state(Checkpoint::DELETED);
  EXPECT_EQ(ReasonOf(Refusal()), "NO_SUCH_CHECKPOINT");
  EXPECT_THAT(Refusal().message(), HasSubstr("with another `init_from`"));
  state.jobs.erase("jobs/other");
  EXPECT_EQ(ReasonOf(Refusal()), "NO_SUCH_CHECKPOINT");
  Commit(job, 20);
  EXPECT_OK(Refusal());
}

}  // namespace
}  // namespace lory::coordinator
