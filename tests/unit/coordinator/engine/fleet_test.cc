#include "tests/support/fleet.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

// The coordinator's core against a scripted fleet: what docs/protocol.md
// promises, one promise a test.
namespace lory::testing {
namespace {

using ::lory::v1::Job;
using ::lory::v1::Worker;
using ::testing::Contains;
using ::testing::HasSubstr;

class FleetTest : public ::testing::Test {
 protected:
  FleetTest() { SetLogOptions(LogLevel::kError, LogFormat::kText); }
  ~FleetTest() override { SetLogOptions(LogLevel::kInfo, LogFormat::kText); }

  void Begin(int workers, lory::v1::JobSpec spec) {
    for (int i = 0; i < workers; ++i) fleet_.AddWorker(absl::StrCat("w", i));
    ASSERT_OK(fleet_.Submit("tiny", std::move(spec)));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  }

  // To the end, with every proof.
  void Finish() {
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED))
        << fleet_.Job("tiny").ShortDebugString();
    EXPECT_EQ(fleet_.Audit("tiny"), "");
    EXPECT_EQ(fleet_.CheckInvariants(), "");
  }

  bool RunUntilStep(int64_t step) {
    return fleet_.RunUntil(
        [&] { return fleet_.Job("tiny").progress().step() >= step; });
  }

  absl::Status Act(absl::StatusOr<Job> (coordinator::Coordinator::*verb)(
      const lory::v1::JobVerbRequest&)) {
    lory::v1::JobVerbRequest request;
    request.set_name("jobs/tiny");
    return (fleet_.core().*verb)(request).status();
  }

  std::vector<std::string> Messages() {
    lory::v1::ListJobEventsRequest request;
    request.set_parent("jobs/tiny");
    request.set_page_size(1000);
    std::vector<std::string> messages;
    const auto events = fleet_.core().ListJobEvents(request);
    for (const auto& event : events->events()) {
      messages.push_back(event.message());
    }
    return messages;
  }

  Fleet fleet_;
};

TEST_F(FleetTest, AJobSaysWhatItsTrainersComplainOfWhileTheyGoOn) {
  fleet_.AddWorker("w0");
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1, 500)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  fleet_.daemons()["w0"].trainers[0].complaint = "the disk is full";
  EXPECT_TRUE(fleet_.RunUntil([&] {
    return absl::StrContains(fleet_.Job("tiny").reason(),
                             "workers/w0 slot 0: the disk is full");
  }));
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::RUNNING);
  fleet_.daemons()["w0"].trainers[0].complaint = "";
  EXPECT_TRUE(fleet_.RunUntil(
      [&] { return !absl::StrContains(fleet_.Job("tiny").reason(), "disk"); }));
}

TEST_F(FleetTest, AJobWaitsForAllOfItsGang) {
  fleet_.AddWorker("w0");
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(2, 2)));
  for (int i = 0; i < 30; ++i) fleet_.Round();
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::QUEUED);
  EXPECT_THAT(fleet_.Job("tiny").reason(),
              HasSubstr("needs 2 slots at once, has 0 and 1 more is free"));
  fleet_.AddWorker("w1");
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_EQ(fleet_.Job("tiny").members_size(), 2);
  Finish();
}

TEST_F(FleetTest, RoundsAreGrantedBeforeTheyRunOut) {
  Begin(1, Fleet::Spec(1, 1, 30));
  const int64_t first = fleet_.Job("tiny").progress().step();
  // A step a move, never a move without one.
  for (int i = 1; i <= 20; ++i) {
    fleet_.Round();
    EXPECT_EQ(fleet_.Job("tiny").progress().step(), first + i);
  }
  Finish();
}

TEST_F(FleetTest, SurvivorsGoOnWithTheirStateWhenATrainerEnds) {
  Begin(2, Fleet::Spec(1, 2));
  ASSERT_TRUE(RunUntilStep(7));
  fleet_.KillTrainer("w1");
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.Job("tiny").generation() >= 2; }, 20));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING, 20));
  EXPECT_EQ(fleet_.Job("tiny").recovery_count(), 1);
  EXPECT_THAT(Messages(), Contains(HasSubstr("with the state of rank 0")));
  EXPECT_THAT(Messages(), Contains(HasSubstr("exit status 137")));
  EXPECT_THAT(Messages(), Contains(HasSubstr("training went on")));
  Finish();
}

TEST_F(FleetTest, ATrainersExitIsFollowedByAStepWithinThreeSeconds) {
  Begin(2, Fleet::Spec(1, 2, 200));
  ASSERT_TRUE(RunUntilStep(7));
  const int64_t step = fleet_.Job("tiny").progress().step();
  const absl::Time begin = fleet_.clock().MonotonicNow();
  fleet_.KillTrainer("w1");
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.Job("tiny").progress().step() > step; }));
  EXPECT_LT(fleet_.clock().MonotonicNow() - begin, absl::Seconds(1));
}

TEST_F(FleetTest, AReplacementJoinsAndReceivesTheState) {
  Begin(2, Fleet::Spec(2, 2, 60));
  ASSERT_TRUE(RunUntilStep(7));
  fleet_.KillTrainer("w0");
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() >= 2; }));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_EQ(fleet_.Job("tiny").members_size(), 2);
  // No step was taken back: a living rank had them all.
  EXPECT_THAT(Messages(), Not(Contains(HasSubstr("from the checkpoint"))));
  Finish();
}

TEST_F(FleetTest, ADaemonThatDiesIsLostByTwoSignsAtOnce) {
  Begin(2, Fleet::Spec(1, 2, 100));
  ASSERT_TRUE(RunUntilStep(7));
  const absl::Time begin = fleet_.clock().MonotonicNow();
  fleet_.KillDaemon("w1");
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() >= 2; }));
  EXPECT_LT(fleet_.clock().MonotonicNow() - begin, absl::Seconds(1));
  EXPECT_THAT(Messages(), Contains(HasSubstr("its daemon's stream is broken, "
                                             "and a peer's collective")));
  Finish();
}

TEST_F(FleetTest, ABrokenStreamAloneDisturbsNobody) {
  Begin(2, Fleet::Spec(2, 2, 100));
  ASSERT_TRUE(RunUntilStep(5));
  fleet_.BreakStream("w1");
  ASSERT_TRUE(RunUntilStep(40));
  EXPECT_EQ(fleet_.Job("tiny").generation(), 1);
  EXPECT_EQ(fleet_.Job("tiny").recovery_count(), 0);
  Finish();
}

TEST_F(FleetTest, ASilentWorkerIsGivenUpAfterItsStreamBrokeToo) {
  Begin(2, Fleet::Spec(1, 2, 400));
  ASSERT_TRUE(RunUntilStep(5));
  auto& daemon = fleet_.daemons()["w1"];
  fleet_.core().Detach(daemon.stream, "the wire broke");
  daemon.stream = 0;
  daemon.cut_off = true;
  const absl::Time begin = fleet_.clock().MonotonicNow();
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() >= 2; }));
  EXPECT_GE(fleet_.clock().MonotonicNow() - begin, absl::Seconds(5));
  EXPECT_LT(fleet_.clock().MonotonicNow() - begin, absl::Seconds(6));
  fleet_.CutOff("w1", false);
  Finish();
}

TEST_F(FleetTest, AJoinerIsTakenInWithoutLosingAStep) {
  Begin(1, Fleet::Spec(1, 2, 100));
  ASSERT_TRUE(RunUntilStep(5));
  fleet_.AddWorker("late");
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").members_size() == 2; }));
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::RUNNING);
  EXPECT_THAT(Messages(), Contains(HasSubstr("workers/late slot 0 joins")));
  EXPECT_EQ(fleet_.Job("tiny").recovery_count(), 0);
  Finish();
}

TEST_F(FleetTest, ADrainedWorkerLeavesAtAStepBoundary) {
  Begin(2, Fleet::Spec(1, 2, 100));
  ASSERT_TRUE(RunUntilStep(5));
  lory::v1::WorkerVerbRequest request;
  request.set_name("workers/w0");
  ASSERT_OK(fleet_.core().DrainWorker(request));
  ASSERT_TRUE(fleet_.RunUntil([&] {
    return fleet_.core().GetWorker("workers/w0")->state() == Worker::DRAINED;
  }));
  EXPECT_EQ(fleet_.Job("tiny").recovery_count(), 0);
  EXPECT_THAT(Messages(), Contains(HasSubstr("workers/w0 drains")));
  EXPECT_THAT(Messages(), Not(Contains(HasSubstr("from the checkpoint"))));
  Finish();
}

TEST_F(FleetTest, ADrainHandsTheStateToAReplacement) {
  Begin(1, Fleet::Spec(1, 1, 100));
  ASSERT_TRUE(RunUntilStep(5));
  fleet_.AddWorker("other");
  fleet_.Round();
  lory::v1::WorkerVerbRequest request;
  request.set_name("workers/w0");
  ASSERT_OK(fleet_.core().DrainWorker(request));
  ASSERT_TRUE(fleet_.RunUntil([&] {
    return fleet_.core().GetWorker("workers/w0")->state() == Worker::DRAINED;
  }));
  EXPECT_THAT(Messages(), Not(Contains(HasSubstr("from the checkpoint"))));
  Finish();
}

TEST_F(FleetTest, ADrainBelowTheMinimumCheckpointsAndQueuesTheJob) {
  Begin(2, Fleet::Spec(2, 2, 100));
  ASSERT_TRUE(RunUntilStep(7));
  lory::v1::WorkerVerbRequest request;
  request.set_name("workers/w1");
  ASSERT_OK(fleet_.core().DrainWorker(request));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::QUEUED));
  EXPECT_GE(fleet_.Job("tiny").checkpoint_step(), 7);
  ASSERT_OK(fleet_.core().UndrainWorker(request));
  Finish();
}

TEST_F(FleetTest, AHigherPriorityTakesTheSlotsOfALowerOne) {
  Begin(1, Fleet::Spec(1, 1, 100));
  ASSERT_TRUE(RunUntilStep(5));
  auto urgent = Fleet::Spec(1, 1, 10);
  urgent.set_priority(10);
  ASSERT_OK(fleet_.Submit("urgent", urgent));
  ASSERT_TRUE(fleet_.RunUntilState("urgent", Job::SUCCEEDED));
  EXPECT_EQ(fleet_.Audit("urgent"), "");
  Finish();
}

TEST_F(FleetTest, PauseCheckpointsAndResumeGoesOnFromThere) {
  Begin(2, Fleet::Spec(2, 2, 40));
  ASSERT_TRUE(RunUntilStep(7));
  ASSERT_OK(Act(&coordinator::Coordinator::PauseJob));
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::PAUSING);
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::PAUSED));
  const int64_t step = fleet_.Job("tiny").checkpoint_step();
  EXPECT_GE(step, 7);
  for (int i = 0; i < 5; ++i) fleet_.Round();
  EXPECT_TRUE(fleet_.daemons()["w0"].trainers.empty());
  ASSERT_OK(Act(&coordinator::Coordinator::ResumeJob));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_THAT(
      Messages(),
      Contains(HasSubstr(absl::StrCat("from the checkpoint of step ", step))));
  Finish();
}

TEST_F(FleetTest, AJobWithoutAStateIsPausedAtOnce) {
  fleet_.AddWorker("w0");
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1)));
  fleet_.MoveDaemon(fleet_.daemons()["w0"]);
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::STARTING);
  ASSERT_OK(Act(&coordinator::Coordinator::PauseJob));
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::PAUSED);
}

TEST_F(FleetTest, CancelWaitsUntilItsTrainersAreGone) {
  Begin(2, Fleet::Spec(2, 2, 100));
  ASSERT_OK(Act(&coordinator::Coordinator::CancelJob));
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::CANCELLING);
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::CANCELLED, 10));
  EXPECT_TRUE(fleet_.daemons()["w0"].trainers.empty());
  EXPECT_EQ(fleet_.CheckInvariants(), "");
  EXPECT_OK(Act(&coordinator::Coordinator::CancelJob));
  EXPECT_THAT(Act(&coordinator::Coordinator::PauseJob),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("jobs/tiny is CANCELLED")));
}

TEST_F(FleetTest, FiveExitsWithoutAStepFailTheJob) {
  fleet_.AddWorker("w0");
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1)));
  for (int i = 0; i < 40; ++i) {
    fleet_.Round();
    fleet_.KillTrainer("w0");
  }
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::FAILED);
  EXPECT_THAT(fleet_.Job("tiny").reason(),
              HasSubstr("its trainers ended 5 times without a new step in "
                        "between; the last: exit status 137"));
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(FleetTest, WhenAllAreGoneTheNewestCheckpointIsRestored) {
  Begin(2, Fleet::Spec(2, 2, 40));
  ASSERT_TRUE(RunUntilStep(12));
  fleet_.KillTrainer("w0");
  fleet_.KillTrainer("w1");
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() >= 2; }));
  Finish();
  EXPECT_THAT(Messages(),
              Contains(HasSubstr("from the checkpoint of step 10")));
}

TEST_F(FleetTest, ARankThatAppliedAStepAloneIsTheSource) {
  Begin(2, Fleet::Spec(2, 2, 40));
  ASSERT_TRUE(RunUntilStep(6));
  fleet_.FailNextStep("tiny", {1});
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() >= 2; }));
  Finish();
  EXPECT_THAT(Messages(), Contains(HasSubstr("with the state of rank 1")));
}

TEST_F(FleetTest, ARankThatAppliedAStepAloneAndDiedTakesItWithIt) {
  Begin(2, Fleet::Spec(1, 2, 40));
  ASSERT_TRUE(RunUntilStep(6));
  fleet_.FailNextStep("tiny", {1});
  fleet_.MoveTrainers();
  fleet_.KillTrainer("w1");
  Finish();
}

TEST_F(FleetTest, ACoordinatorThatComesBackInTimeLeavesTheGenerationAlone) {
  Begin(2, Fleet::Spec(2, 2, 100));
  ASSERT_TRUE(RunUntilStep(10));
  fleet_.CrashCoordinator();
  for (int i = 0; i < 10; ++i) fleet_.Round();
  fleet_.StartCoordinator();
  ASSERT_TRUE(RunUntilStep(60));
  EXPECT_EQ(fleet_.Job("tiny").generation(), 1);
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::RUNNING);
  Finish();
}

TEST_F(FleetTest, WhatIsShownOfAnEndedJobOutlivesTheCoordinator) {
  Begin(1, Fleet::Spec(1, 1, 20));
  Finish();
  const auto before = fleet_.Job("tiny").progress();
  ASSERT_GT(before.step_times().total_seconds(), 0);
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  EXPECT_EQ(fleet_.Job("tiny").progress().SerializeAsString(),
            before.SerializeAsString());
}

TEST_F(FleetTest, AMemberThatDoesNotComeBackAfterARestartIsLostAfterALease) {
  Begin(2, Fleet::Spec(1, 2, 400));
  ASSERT_TRUE(RunUntilStep(10));
  fleet_.CrashCoordinator();
  fleet_.KillDaemon("w1");
  fleet_.StartCoordinator();
  const absl::Time begin = fleet_.clock().MonotonicNow();
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() >= 2; }));
  EXPECT_GE(fleet_.clock().MonotonicNow() - begin, absl::Seconds(5));
  Finish();
}

TEST_F(FleetTest, AnotherDaemonOfTheSameNameIsRefusedWhileTheFirstLives) {
  Begin(1, Fleet::Spec(1, 1, 100));
  lory::v1::AttendRequest hello;
  hello.mutable_hello()->set_worker_id("w0");
  hello.mutable_hello()->set_incarnation("another");
  hello.mutable_hello()->mutable_description()->set_slot_count(1);
  const auto attached = fleet_.core().Attach(hello, nullptr);
  EXPECT_EQ(ReasonOf(attached.status()), "WORKER_NAME_TAKEN");
}

TEST_F(FleetTest, AStaleGenerationCannotCommitACheckpoint) {
  Begin(2, Fleet::Spec(1, 2, 100));
  ASSERT_TRUE(RunUntilStep(4));
  auto& daemon = fleet_.daemons()["w0"];
  ASSERT_TRUE(fleet_.RunUntil([&] {
    fleet_.MoveTrainers();
    return !daemon.parts.empty();
  }));
  const auto part = daemon.parts.front();
  daemon.parts.clear();
  fleet_.KillTrainer("w1");
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() >= 2; }));
  EXPECT_EQ(ReasonOf(fleet_.core().CommitCheckpoint(part).status()),
            "GENERATION_FENCED");
}

TEST_F(FleetTest, AFullDiskDelaysACheckpointAndLosesNothing) {
  Begin(2, Fleet::Spec(2, 2, 40));
  fleet_.storage().FillDiskFor("manifest");
  ASSERT_TRUE(RunUntilStep(12));
  EXPECT_EQ(fleet_.Job("tiny").checkpoint_step(), -1);
  fleet_.storage().FillDiskFor("");
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.Job("tiny").checkpoint_step() >= 10; }, 10));
  Finish();
}

TEST_F(FleetTest, ACoordinatorMayDieAfterAnyEventOfARun) {
  // One undisturbed run says how many events there are.
  size_t events = 0;
  {
    Fleet calm;
    calm.AddWorker("w0");
    calm.AddWorker("w1");
    ASSERT_OK(calm.Submit("tiny", Fleet::Spec(2, 2)));
    ASSERT_TRUE(calm.RunUntilState("tiny", Job::SUCCEEDED));
    events = calm.journal().records().size();
  }
  ASSERT_GT(events, 8u);
  for (size_t at = 2; at < events; ++at) {
    Fleet fleet;
    fleet.AddWorker("w0");
    fleet.AddWorker("w1");
    ASSERT_OK(fleet.Submit("tiny", Fleet::Spec(2, 2)));
    ASSERT_TRUE(
        fleet.RunUntil([&] { return fleet.journal().records().size() >= at; }));
    fleet.CrashCoordinator();
    fleet.Round();
    fleet.StartCoordinator();
    EXPECT_EQ(fleet.CheckInvariants(), "");
    ASSERT_TRUE(fleet.RunUntilState("tiny", Job::SUCCEEDED)) << "event " << at;
    EXPECT_EQ(fleet.Audit("tiny"), "") << "event " << at;
    EXPECT_EQ(fleet.Job("tiny").recovery_count(), 0) << "event " << at;
  }
}

TEST_F(FleetTest, ARepeatedCallIsAnsweredAlikeAlsoAfterARestart) {
  fleet_.AddWorker("w0");
  lory::v1::CreateJobRequest request;
  request.set_job_id("tiny");
  request.set_request_id("8c4f1b9e-0000-4000-8000-000000000001");
  *request.mutable_spec() = Fleet::Spec(1, 1);
  ASSERT_OK(fleet_.core().CreateJob(request));
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  LORY_ASSERT_OK_AND_ASSIGN(const Job again, fleet_.core().CreateJob(request));
  EXPECT_EQ(again.name(), "jobs/tiny");
  request.set_job_id("other");
  EXPECT_EQ(ReasonOf(fleet_.core().CreateJob(request).status()),
            "REQUEST_ID_REUSED");
  request.set_job_id("tiny");
  request.clear_request_id();
  EXPECT_EQ(ReasonOf(fleet_.core().CreateJob(request).status()), "JOB_EXISTS");
}

TEST_F(FleetTest, AJobWhoseAppendFailedWasNeverThere) {
  fleet_.journal().FailNextAppend(absl::ResourceExhaustedError("disk full"));
  EXPECT_THAT(fleet_.Submit("tiny", Fleet::Spec(1, 1)),
              StatusIs(absl::StatusCode::kResourceExhausted, "disk full"));
  EXPECT_EQ(fleet_.Job("tiny").name(), "");
  EXPECT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1)));
}

TEST_F(FleetTest, ListsComeInPagesThatFitTogether) {
  for (int i = 0; i < 7; ++i) {
    ASSERT_OK(fleet_.Submit(absl::StrCat("job-", i), Fleet::Spec(1, 1)));
  }
  lory::v1::ListJobsRequest request;
  request.set_page_size(3);
  std::vector<std::string> names;
  for (int page = 0; page < 3; ++page) {
    LORY_ASSERT_OK_AND_ASSIGN(const auto response,
                              fleet_.core().ListJobs(request));
    for (const Job& job : response.jobs()) names.push_back(job.name());
    request.set_page_token(response.next_page_token());
  }
  EXPECT_EQ(request.page_token(), "");
  EXPECT_EQ(names.size(), 7u);
  EXPECT_EQ(names.front(), "jobs/job-6");
  request.set_page_token("bm90IG91cnM");
  EXPECT_THAT(
      fleet_.core().ListJobs(request),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
}

TEST_F(FleetTest, DeletingAJobRemovesItsFiles) {
  Begin(1, Fleet::Spec(1, 1, 10));
  EXPECT_THAT(Act(&coordinator::Coordinator::DeleteJob),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("cancel it before")));
  Finish();
  EXPECT_GT(fleet_.storage().file_count(), 1u);
  ASSERT_OK(Act(&coordinator::Coordinator::DeleteJob));
  EXPECT_EQ(fleet_.storage().file_count(), 1u);  // the dataset's manifest
  EXPECT_EQ(Act(&coordinator::Coordinator::DeleteJob).code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace lory::testing
