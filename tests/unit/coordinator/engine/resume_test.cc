#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// Jobs that ended before their last step, and go on.
namespace lory::testing {
namespace {

using ::lory::v1::Job;
using ::lory::v1::TrainerStatus;
using ::testing::Contains;
using ::testing::HasSubstr;

class ResumeTest : public ::testing::Test {
 protected:
  ResumeTest() { SetLogOptions(LogLevel::kError, LogFormat::kText); }
  ~ResumeTest() override { SetLogOptions(LogLevel::kInfo, LogFormat::kText); }

  // Runs until there is a checkpoint and a few steps more.
  void Begin(int workers, lory::v1::JobSpec spec) {
    for (int i = 0; i < workers; ++i) fleet_.AddWorker(absl::StrCat("w", i));
    ASSERT_OK(fleet_.Submit("tiny", std::move(spec)));
    ASSERT_TRUE(fleet_.RunUntil([&] {
      const int64_t saved = fleet_.Job("tiny").checkpoint_step();
      return saved > 0 && fleet_.Job("tiny").progress().step() >= saved + 2;
    }));
  }

  // Every trainer that there is, and every next one.
  void FailAll(const std::string& error, bool diverges = false) {
    for (auto& [name, daemon] : fleet_.daemons()) {
      daemon.unfit = error;
      daemon.diverges = diverges;
      for (auto& [slot, trainer] : daemon.trainers) {
        trainer.phase = TrainerStatus::FAILED;
      }
    }
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::FAILED));
  }
  void Mend() {
    for (auto& [name, daemon] : fleet_.daemons()) daemon.unfit.clear();
  }

  absl::StatusOr<Job> Resume(const std::string& request_id = "") {
    lory::v1::JobVerbRequest request;
    request.set_name("jobs/tiny");
    request.set_request_id(request_id);
    return fleet_.core().ResumeJob(request);
  }
  void Cancel() {
    lory::v1::JobVerbRequest request;
    request.set_name("jobs/tiny");
    ASSERT_OK(fleet_.core().CancelJob(request));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::CANCELLED));
  }

  // To the end, with every proof.
  void Finish() {
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED))
        << fleet_.Job("tiny").ShortDebugString();
    EXPECT_EQ(fleet_.Audit("tiny"), "");
    EXPECT_EQ(fleet_.CheckInvariants(), "");
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

  std::string Explained() {
    std::string all;
    const auto answer = fleet_.core().ExplainJob("jobs/tiny");
    for (const auto& sentence : answer->sentences()) all += sentence;
    return all;
  }

  Fleet fleet_;
};

TEST_F(ResumeTest, AFailedJobGoesOnFromItsNewestCheckpoint) {
  Begin(2, Fleet::Spec(2, 2, 60));
  FailAll("no space left on device");
  const Job failed = fleet_.Job("tiny");
  EXPECT_TRUE(failed.has_end_time());
  const std::string from =
      absl::StrCat("the checkpoint of step ", failed.checkpoint_step());
  EXPECT_THAT(Explained(),
              HasSubstr(absl::StrCat(
                  "`loryctl job resume tiny` it goes on from ", from)));
  // Nothing comes to life by itself.
  Mend();
  for (int i = 0; i < 50; ++i) fleet_.Round();
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::FAILED);
  ASSERT_OK(Resume("a-uuid"));
  ASSERT_OK(Resume("a-uuid"));  // the call repeated
  EXPECT_FALSE(fleet_.Job("tiny").has_end_time());
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_EQ(fleet_.Job("tiny").recovery_count(), failed.recovery_count());
  EXPECT_THAT(Messages(), Contains("FAILED: no space left on device"));
  EXPECT_THAT(Messages(), Contains(absl::StrCat(
                              "QUEUED: resumed on request: goes on from ", from,
                              "; it was FAILED: no space left on "
                              "device")));
  EXPECT_THAT(Messages(), Contains(HasSubstr(absl::StrCat(
                              "2 trainers start at step ",
                              failed.checkpoint_step(), " from ", from))));
  Finish();
}

TEST_F(ResumeTest, OneThatFailedBeforeItsFirstCheckpointBeginsAnew) {
  fleet_.AddWorker("w0");
  fleet_.daemons()["w0"].unfit = "/data is not there";
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::FAILED));
  Mend();
  ASSERT_OK(Resume());
  EXPECT_THAT(Messages(), Contains(HasSubstr("on request: begins anew")));
  Finish();
}

TEST_F(ResumeTest, AnotherWorldAndAnotherCoordinatorGoOnAlike) {
  Begin(2, Fleet::Spec(1, 2, 60));
  FailAll("no space left on device");
  fleet_.KillDaemon("w1");
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  Mend();
  ASSERT_OK(Resume());
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::QUEUED);
  Finish();
}

TEST_F(ResumeTest, CountsOfFailuresBeginAnew) {
  Begin(1, Fleet::Spec(1, 1, 60));
  fleet_.daemons()["w0"].unfit_for_good = false;
  FailAll("the mount hangs");
  EXPECT_THAT(fleet_.Job("tiny").reason(), HasSubstr("without a new step"));
  ASSERT_OK(Resume());
  // One more of the same is no reason to give up.
  ASSERT_TRUE(fleet_.RunUntil([&] {
    const auto& trainers = fleet_.daemons()["w0"].trainers;
    return !trainers.empty() &&
           trainers.begin()->second.phase == TrainerStatus::FAILED;
  }));
  for (int i = 0; i < 2; ++i) fleet_.Round();
  EXPECT_NE(fleet_.Job("tiny").state(), Job::FAILED);
  Mend();
  Finish();
}

TEST_F(ResumeTest, AHostThatWasBarredMayTryAgain) {
  Begin(2, Fleet::Spec(1, 2, 60));
  FailAll("no space left on device");
  Mend();
  ASSERT_OK(Resume());
  // Neither daemon was started again.
  EXPECT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").members_size() == 2; }));
  Finish();
}

TEST_F(ResumeTest, ADivergedJobIsNotResumedWhoeverAsks) {
  Begin(1, Fleet::Spec(1, 1, 60));
  FailAll("the loss is not finite", /*diverges=*/true);
  Mend();
  EXPECT_EQ(ReasonOf(Resume().status()), "FAULT_OF_JOB");
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  EXPECT_EQ(ReasonOf(Resume().status()), "FAULT_OF_JOB");
  EXPECT_THAT(Explained(), HasSubstr("It cannot be resumed"));
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(ResumeTest, ACancelledJobGoesOnUnlessItsDataAreGone) {
  Begin(2, Fleet::Spec(1, 2, 60));
  Cancel();
  ASSERT_OK(Resume());
  EXPECT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  Cancel();
  lory::v1::DeleteDatasetRequest request;
  request.set_name("datasets/fleet");
  ASSERT_OK(fleet_.core().DeleteDataset(request));
  EXPECT_EQ(ReasonOf(Resume().status()), "DATASET_CHANGED");
}

TEST_F(ResumeTest, WhoMissedTheEndDoesNotTakePartWithAnOldState) {
  Begin(2, Fleet::Spec(1, 2, 100));
  fleet_.CutOff("w1", true);
  fleet_.BreakStream("w1");
  fleet_.KillTrainer("w0");
  Cancel();
  fleet_.CutOff("w1", false);
  ASSERT_OK(Resume());
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").members_size() == 2; }));
  Finish();
}

// The slots of a job's last stay are others' by now: a coordinator that begins
// while the job starts elsewhere must not take them back.
TEST_F(ResumeTest, ARestartTakesNoSlotFromWhoHasItNow) {
  Begin(1, Fleet::Spec(1, 1, 100));
  Cancel();
  ASSERT_OK(fleet_.Submit("zoo", Fleet::Spec(1, 1, 200)));
  ASSERT_TRUE(fleet_.RunUntilState("zoo", Job::RUNNING));
  const std::string trainer =
      fleet_.daemons()["w0"].trainers.begin()->second.incarnation;
  fleet_.AddWorker("w1");
  fleet_.Round();
  ASSERT_OK(Resume());
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::STARTING);
  EXPECT_EQ(fleet_.Job("tiny").members_size(), 0);
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_EQ(fleet_.daemons()["w0"].trainers.begin()->second.incarnation,
            trainer);
  EXPECT_EQ(fleet_.Job("zoo").recovery_count(), 0);
  Finish();
}

// Who missed the end of the job comes back to a coordinator that began after
// the resume.
TEST_F(ResumeTest, ARestartTakesNothingOverFromBeforeTheEnd) {
  Begin(2, Fleet::Spec(2, 2, 100));
  fleet_.CutOff("w1", true);
  fleet_.BreakStream("w1");
  Cancel();
  const int64_t saved = fleet_.Job("tiny").checkpoint_step();
  fleet_.AddWorker("w2");
  fleet_.Round();
  ASSERT_OK(Resume());
  ASSERT_EQ(fleet_.Job("tiny").state(), Job::STARTING);
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  fleet_.CutOff("w1", false);
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_THAT(Messages(), Contains(HasSubstr(absl::StrCat(
                              "2 trainers start at step ", saved,
                              " from the checkpoint of step ", saved))));
  Finish();
}

// Daemons tell the newest ends again in a new stream.
TEST_F(ResumeTest, ARestartDoesNotCountWhatItFailedOfAgain) {
  Begin(1, Fleet::Spec(1, 1, 60));
  FailAll("no space left on device");
  Mend();
  TrainerStatus end;
  end.set_job("jobs/tiny");
  end.set_incarnation("the one that failed");
  end.set_phase(TrainerStatus::FAILED);
  end.set_error("no space left on device");
  end.set_error_is_permanent(true);
  for (int i = 0; i < 3; ++i) fleet_.Round();
  ASSERT_OK(Resume());
  ASSERT_EQ(fleet_.Job("tiny").state(), Job::STARTING);
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  auto& trainers = fleet_.daemons()["w0"].trainers;
  trainers.clear();
  fleet_.daemons()["w0"].ended.push_back(end);
  Finish();
}

TEST_F(ResumeTest, ASucceededJobIsNotResumed) {
  Begin(1, Fleet::Spec(1, 1, 20));
  Finish();
  EXPECT_EQ(ReasonOf(Resume().status()), "JOB_STATE");
}

}  // namespace
}  // namespace lory::testing
