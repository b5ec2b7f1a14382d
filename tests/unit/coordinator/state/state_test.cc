#include "absl/strings/str_cat.h"
#include "coordinator/plan/records.h"
#include "coordinator/state/coordinator_state.h"
#include "coordinator/state/invariants.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"
#include "coordinator/state/sessions.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::coordinator {
namespace {

using ::lory::internal::v1::GenerationEnded;
using ::lory::internal::v1::JournalRecord;
using ::lory::testing::StatusIs;
using ::lory::v1::Job;
using ::testing::HasSubstr;

JournalRecord Created(const std::string& name) {
  JournalRecord record;
  Job* job = record.mutable_job_created()->mutable_job();
  job->set_name(name);
  job->mutable_spec()->set_step_count(10);
  job->mutable_spec()->set_micro_batch_count(4);
  return record;
}

JournalRecord Started(const std::string& job, int64_t generation) {
  JournalRecord record;
  record.mutable_generation_started()->set_job(job);
  record.mutable_generation_started()->set_generation(generation);
  return record;
}

class StateTest : public ::testing::Test {
 protected:
  StateTest() { EXPECT_OK(state_.Apply(Created("jobs/a"))); }

  CoordinatorState state_;
};

TEST(JobState, OnlyAResumeLeadsOutOfAFinalStateAndNothingOutOfSuccess) {
  for (const JobTransition& transition : JobTransitions()) {
    EXPECT_NE(transition.from, Job::SUCCEEDED) << transition.when;
    if (!IsFinal(transition.from)) continue;
    EXPECT_EQ(transition.to, Job::QUEUED) << transition.when;
    EXPECT_THAT(transition.when, HasSubstr("resume"));
  }
}

TEST(JobState, EveryStateIsReachedAndEveryOtherIsLeft) {
  for (int value = Job::QUEUED; value <= Job::FAILED; ++value) {
    const auto state = static_cast<Job::State>(value);
    bool reached = state == Job::QUEUED, left = false;
    for (const JobTransition& transition : JobTransitions()) {
      reached |= transition.to == state;
      left |= transition.from == state;
    }
    EXPECT_TRUE(reached) << Job::State_Name(state);
    EXPECT_NE(left, state == Job::SUCCEEDED) << Job::State_Name(state);
  }
}

TEST_F(StateTest, ATransitionThatIsNotInTheTableIsRefused) {
  EXPECT_THAT(state_.Apply(StateChange("jobs/a", Job::SUCCEEDED, "magic")),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("cannot go from QUEUED to SUCCEEDED")));
  EXPECT_EQ(state_.FindJob("jobs/a")->state, Job::QUEUED);
}

TEST_F(StateTest, GenerationNumbersGrowByOne) {
  EXPECT_THAT(state_.Apply(OpenGeneration("jobs/a", 2, {{"workers/w", 0}}, "")),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("cannot follow generation 0")));
  EXPECT_OK(state_.Apply(OpenGeneration("jobs/a", 1, {{"workers/w", 0}}, "")));
}

TEST_F(StateTest, AGenerationEndsBeforeTheNextIsOpened) {
  EXPECT_OK(state_.Apply(OpenGeneration("jobs/a", 1, {{"workers/w", 0}}, "")));
  EXPECT_THAT(
      state_.Apply(OpenGeneration("jobs/a", 2, {{"workers/w", 0}}, "")),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("has not ended")));
}

TEST_F(StateTest, OnlyAFaultOfAStartedGenerationIsARecovery) {
  EXPECT_OK(state_.Apply(OpenGeneration("jobs/a", 1, {{"workers/w", 0}}, "")));
  EXPECT_OK(state_.Apply(
      EndGeneration(*state_.FindJob("jobs/a"), GenerationEnded::EXIT, "x")));
  EXPECT_EQ(state_.FindJob("jobs/a")->recovery_count, 0);
  EXPECT_OK(state_.Apply(OpenGeneration("jobs/a", 2, {{"workers/w", 0}}, "")));
  EXPECT_TRUE(state_.FindJob("jobs/a")->generation.urgent);
  EXPECT_OK(state_.Apply(Started("jobs/a", 2)));
  EXPECT_OK(state_.Apply(
      EndGeneration(*state_.FindJob("jobs/a"), GenerationEnded::EXIT, "x")));
  EXPECT_EQ(state_.FindJob("jobs/a")->recovery_count, 1);
}

TEST_F(StateTest, AnEventOfAnUnknownKindIsRefused) {
  EXPECT_THAT(
      state_.Apply(JournalRecord()),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("does not know")));
}

TEST_F(StateTest, OnlyTheNewestAnsweredRequestsAreKept) {
  for (size_t i = 0; i < CoordinatorState::kMaxRequests + 5; ++i) {
    JournalRecord record;
    record.mutable_request_answered()->set_request_id(absl::StrCat(i));
    ASSERT_OK(state_.Apply(record));
  }
  EXPECT_EQ(state_.requests.size(), CoordinatorState::kMaxRequests);
  EXPECT_EQ(state_.requests.count("0"), 0u);
  EXPECT_EQ(FindViolation(state_), "");
}

TEST_F(StateTest, PausesAreNoTimeOfTraining) {
  const auto at = [&](int second, Job::State state) {
    JournalRecord record;
    record.mutable_time()->set_seconds(second);
    record.mutable_job_state_changed()->set_job("jobs/a");
    record.mutable_job_state_changed()->set_state(state);
    ASSERT_OK(state_.Apply(record));
  };
  at(10, Job::STARTING);
  state_.jobs["jobs/a"].start_time = absl::FromUnixSeconds(11);
  at(12, Job::RUNNING);
  at(20, Job::PAUSING);
  at(21, Job::PAUSED);
  at(51, Job::QUEUED);
  at(60, Job::STARTING);
  EXPECT_EQ(state_.jobs["jobs/a"].idle_time, absl::Seconds(39));
}

TEST_F(StateTest, AResumedJobHasNotEndedAndRecoversFromNothing) {
  const auto at = [&](int second, JournalRecord record) {
    record.mutable_time()->set_seconds(second);
    ASSERT_OK(state_.Apply(record));
    EXPECT_EQ(FindViolation(state_), "");
  };
  const JobState& job = state_.jobs["jobs/a"];
  at(10, StateChange("jobs/a", Job::STARTING, ""));
  at(11, OpenGeneration("jobs/a", 1, {{"workers/w", 0}}, ""));
  at(12, Started("jobs/a", 1));
  at(13, StateChange("jobs/a", Job::RUNNING, ""));
  at(20, EndGeneration(job, GenerationEnded::EXIT, "the disk is full"));
  JournalRecord failed = StateChange("jobs/a", Job::FAILED, "the disk is full");
  failed.mutable_job_state_changed()->set_error_is_of_job(true);
  at(20, failed);
  EXPECT_TRUE(job.error_is_of_job);
  EXPECT_EQ(job.end_time, absl::FromUnixSeconds(20));
  const CoordinatorState before = state_;
  at(80, StateChange("jobs/a", Job::QUEUED, "resumed on request"));
  EXPECT_EQ(FindViolationBetween(before, state_), "");
  EXPECT_FALSE(job.error_is_of_job);
  EXPECT_FALSE(job.end_time.has_value());
  EXPECT_EQ(job.idle_time, absl::Seconds(60));
  at(90, StateChange("jobs/a", Job::STARTING, ""));
  EXPECT_EQ(job.idle_time, absl::Seconds(70));
  at(91, OpenGeneration("jobs/a", 2, {{"workers/w", 0}}, ""));
  EXPECT_FALSE(job.generation.urgent);
  // What was told stays.
  EXPECT_THAT(job.events[6].message(), HasSubstr("FAILED: the disk is full"));
  EXPECT_THAT(job.events[7].message(), HasSubstr("QUEUED: resumed"));
}

TEST_F(StateTest, AfterARestartASlotIsWithTheGenerationThatLives) {
  // jobs/a waits for another slot: workers/w went to jobs/b, which lives there.
  ASSERT_OK(state_.Apply(Created("jobs/b")));
  for (const std::string name : {"jobs/a", "jobs/b"}) {
    ASSERT_OK(state_.Apply(StateChange(name, Job::STARTING, "")));
    ASSERT_OK(state_.Apply(OpenGeneration(name, 1, {{"workers/w", 0}}, "")));
    ASSERT_OK(state_.Apply(Started(name, 1)));
    ASSERT_OK(state_.Apply(StateChange(name, Job::RUNNING, "")));
    if (name == "jobs/b") continue;
    ASSERT_OK(state_.Apply(
        EndGeneration(state_.jobs[name], GenerationEnded::SILENCE, "")));
    ASSERT_OK(state_.Apply(StateChange(name, Job::RECOVERING, "")));
    Sessions sessions;
    LeaseMembers(state_, sessions);
    EXPECT_EQ(sessions.leases.at({"workers/w", 0}), name);
  }
  Sessions sessions;
  LeaseMembers(state_, sessions);
  EXPECT_EQ(sessions.leases.at({"workers/w", 0}), "jobs/b");
}

TEST_F(StateTest, AJobRemembersWhichContentsItsDatasetHad) {
  JournalRecord dataset;
  dataset.mutable_dataset_created()->mutable_dataset()->set_name("datasets/d");
  dataset.mutable_dataset_created()->mutable_dataset()->set_manifest_sha256(
      "one");
  ASSERT_OK(state_.Apply(dataset));
  JournalRecord created = Created("jobs/b"), deleted;
  created.mutable_job_created()->mutable_job()->mutable_spec()->set_dataset(
      "datasets/d");
  ASSERT_OK(state_.Apply(created));
  deleted.mutable_dataset_deleted()->set_dataset("datasets/d");
  ASSERT_OK(state_.Apply(deleted));
  dataset.mutable_dataset_created()->mutable_dataset()->set_manifest_sha256(
      "two");
  ASSERT_OK(state_.Apply(dataset));
  EXPECT_EQ(state_.FindJob("jobs/b")->dataset_sha256, "one");
}

TEST_F(StateTest, WhatIsKeptOfDeletedJobsIsBounded) {
  const auto apply = [&](const std::string& name, int64_t before) {
    JournalRecord created = Created(name), cancelled, deleted;
    created.mutable_job_created()->mutable_job()->set_generation(before);
    ASSERT_OK(state_.Apply(created));
    cancelled.mutable_job_state_changed()->set_job(name);
    cancelled.mutable_job_state_changed()->set_state(Job::CANCELLED);
    ASSERT_OK(state_.Apply(cancelled));
    deleted.mutable_job_deleted()->set_job(name);
    ASSERT_OK(state_.Apply(deleted));
  };
  apply("jobs/first", 7);
  EXPECT_EQ(state_.GenerationsBefore("jobs/first"), 7);
  EXPECT_EQ(state_.GenerationsBefore("jobs/new"), 0);
  for (size_t i = 0; i < CoordinatorState::kMaxDeletedJobs; ++i) {
    apply(absl::StrCat("jobs/b", i), 0);
  }
  EXPECT_LE(state_.deleted_generations.size(),
            CoordinatorState::kMaxDeletedJobs);
  // Every name goes on above all that were forgotten.
  EXPECT_EQ(state_.GenerationsBefore("jobs/first"), 7);
  EXPECT_EQ(state_.GenerationsBefore("jobs/new"), 7);
}

TEST_F(StateTest, OnlyTheNewestEventsOfAJobAreKept) {
  for (size_t i = 0; i < JobState::kMaxEvents + 5; ++i) {
    JournalRecord record;
    record.mutable_job_event_added()->set_job("jobs/a");
    ASSERT_OK(state_.Apply(record));
  }
  const JobState& job = *state_.FindJob("jobs/a");
  EXPECT_EQ(job.events.size(), JobState::kMaxEvents);
  EXPECT_EQ(job.events.back().name(),
            absl::StrCat("jobs/a/events/", job.event_count));
}

TEST_F(StateTest, ASlotUsedTwiceIsAViolation) {
  EXPECT_OK(state_.Apply(StateChange("jobs/a", Job::STARTING, "")));
  EXPECT_OK(state_.Apply(OpenGeneration("jobs/a", 1, {{"workers/w", 0}}, "")));
  EXPECT_EQ(FindViolation(state_), "");
  EXPECT_OK(state_.Apply(Created("jobs/b")));
  EXPECT_OK(state_.Apply(StateChange("jobs/b", Job::STARTING, "")));
  EXPECT_OK(state_.Apply(OpenGeneration("jobs/b", 1, {{"workers/w", 0}}, "")));
  EXPECT_THAT(FindViolation(state_), HasSubstr("workers/w slot 0 is used by"));
}

TEST(Names, IdsAreCheckedWithTheirField) {
  EXPECT_OK(CheckId("tiny-2", "job_id"));
  for (const char* bad : {"", "Tiny", "2tiny", "a/b", "a b", "a_b"}) {
    EXPECT_THAT(
        CheckId(bad, "job_id"),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("job_id")))
        << bad;
  }
  EXPECT_OK(CheckId(std::string(63, 'a'), "job_id"));
  EXPECT_FALSE(CheckId(std::string(64, 'a'), "job_id").ok());
  EXPECT_OK(CheckWorkerId("node-1.rack-2", "worker_id"));
  EXPECT_FALSE(CheckWorkerId("-node", "worker_id").ok());
}

TEST(Names, CheckpointNamesComeApartAndTogether) {
  const auto name = ParseCheckpointName("jobs/tiny/checkpoints/1200");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(CheckpointNameOf(name->job, name->step),
            "jobs/tiny/checkpoints/1200");
  for (const char* bad : {"", "jobs/tiny", "jobs/tiny/checkpoints/x",
                          "jobs/tiny/checkpoints/-1", "a/b/c/1"}) {
    EXPECT_FALSE(ParseCheckpointName(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace lory::coordinator
