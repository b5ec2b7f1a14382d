#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// Checkpoints on a disk that fails: what is damage and what is not, and what
// people are told.
namespace lory::testing {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::Job;
using ::lory::v1::JobEvent;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckpointTroubleTest : public ::testing::Test {
 protected:
  CheckpointTroubleTest() {
    SetLogOptions(LogLevel::kError, LogFormat::kText);
    fleet_.AddWorker("w0");
    fleet_.AddWorker("w1");
  }
  ~CheckpointTroubleTest() override {
    SetLogOptions(LogLevel::kInfo, LogFormat::kText);
  }

  void RunToTheEnd() {
    ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(2, 2, 12)));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  }

  absl::StatusOr<Checkpoint> Verify(int64_t step = 12, bool mounted = false) {
    lory::v1::GetCheckpointRequest request;
    request.set_name(absl::StrCat("jobs/tiny/checkpoints/", step));
    request.set_storage_is_mounted(mounted);
    return fleet_.core().VerifyCheckpoint(request);
  }

  // Trains beyond step 12 and takes a part of step 10's checkpoint away.
  void DamageStepTen(int min_workers) {
    ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(min_workers, 2, 40)));
    ASSERT_TRUE(fleet_.RunUntil(
        [&] { return fleet_.Job("tiny").progress().step() >= 12; }));
    const auto checkpoint =
        fleet_.core().GetCheckpoint("jobs/tiny/checkpoints/10");
    part_ =
        absl::StrCat(checkpoint->folder(), "/", checkpoint->parts(1).file());
    bytes_ = *fleet_.storage().Read(part_);
    ASSERT_OK(fleet_.storage().Remove(part_));
    EXPECT_EQ(Verify(10)->state(), Checkpoint::DAMAGED);
  }

  std::vector<int64_t> CommittedSteps() {
    lory::v1::ListCheckpointsRequest request;
    request.set_parent("jobs/tiny");
    std::vector<int64_t> steps;
    const auto list = fleet_.core().ListCheckpoints(request);
    for (const Checkpoint& checkpoint : list->checkpoints()) {
      if (checkpoint.state() == Checkpoint::COMMITTED) {
        steps.push_back(checkpoint.step());
      }
    }
    return steps;
  }

  // Steps of the checkpoints that could not be written, as the timeline has
  // them.
  std::vector<int64_t> FailedSteps() {
    lory::v1::ListJobEventsRequest request;
    request.set_parent("jobs/tiny");
    request.set_page_size(1000);
    std::vector<int64_t> steps;
    const auto events = fleet_.core().ListJobEvents(request);
    for (const JobEvent& event : events->events()) {
      if (event.kind() != JobEvent::CHECKPOINT_FAILED) continue;
      EXPECT_THAT(event.message(), HasSubstr("no space left"));
      steps.push_back(event.step());
    }
    return steps;
  }

  Fleet fleet_;
  std::string part_, bytes_;  // that DamageStepTen took away
};

TEST_F(CheckpointTroubleTest, NoMoreAreKeptThanAskedForAfterTheEndOrAPause) {
  lory::v1::JobSpec spec = Fleet::Spec(2, 2, 22);
  spec.mutable_checkpoint()->set_keep_count(2);
  ASSERT_OK(fleet_.Submit("tiny", spec));
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.Job("tiny").progress().step() == 12; }));
  EXPECT_THAT(CommittedSteps(), ElementsAre(10, 5));
  lory::v1::JobVerbRequest request;
  request.set_name("jobs/tiny");
  ASSERT_OK(fleet_.core().PauseJob(request));
  // The checkpoint is committed when its trainers have reported the end.
  const auto commit_late = [&] {
    fleet_.storage().FillDiskFor("manifest.json");
    for (int i = 0; i < 20; ++i) fleet_.Round();
    fleet_.storage().FillDiskFor("");
  };
  commit_late();
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::PAUSED));
  EXPECT_THAT(CommittedSteps(), ElementsAre(::testing::Ge(12), 10));
  ASSERT_OK(fleet_.core().ResumeJob(request));
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.Job("tiny").progress().step() == 21; }));
  commit_late();
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  EXPECT_THAT(CommittedSteps(), ElementsAre(22, 20));
}

TEST_F(CheckpointTroubleTest, WholeFilesAreVerified) {
  RunToTheEnd();
  LORY_ASSERT_OK_AND_ASSIGN(const Checkpoint seen, Verify());
  EXPECT_EQ(seen.state(), Checkpoint::COMMITTED);
  EXPECT_THAT(seen.reason(), HasSubstr("every byte"));
}

TEST_F(CheckpointTroubleTest, WhatCannotBeReadNowIsNotDamaged) {
  RunToTheEnd();
  for (const absl::Status& failure :
       {absl::UnavailableError("the mount is gone"),
        absl::InternalError("reading: Input/output error"),
        absl::PermissionDeniedError("not for this user")}) {
    fleet_.storage().FailReadsOf("part-1", failure);
    EXPECT_THAT(Verify(), StatusIs(absl::StatusCode::kUnavailable,
                                   HasSubstr(failure.message())));
    const auto now = fleet_.core().GetCheckpoint("jobs/tiny/checkpoints/12");
    EXPECT_EQ(now->state(), Checkpoint::COMMITTED);
  }
  fleet_.storage().FailReadsOf("", absl::OkStatus());
  LORY_ASSERT_OK_AND_ASSIGN(const Checkpoint seen, Verify());
  EXPECT_EQ(seen.state(), Checkpoint::COMMITTED);
}

TEST_F(CheckpointTroubleTest, AMissingACutAndAnAlteredPartAreDamage) {
  RunToTheEnd();
  const auto checkpoint =
      fleet_.core().GetCheckpoint("jobs/tiny/checkpoints/12");
  const std::string part =
      absl::StrCat(checkpoint->folder(), "/", checkpoint->parts(1).file());
  const std::string bytes = *fleet_.storage().Read(part);
  const auto expect = [&](Checkpoint::State state, const char* reason) {
    LORY_ASSERT_OK_AND_ASSIGN(const Checkpoint seen, Verify());
    EXPECT_EQ(seen.state(), state);
    EXPECT_THAT(seen.reason(), HasSubstr(reason));
  };
  ASSERT_OK(fleet_.storage().Remove(part));
  expect(Checkpoint::DAMAGED, "part-1-of-2.safetensors");
  ASSERT_OK(fleet_.storage().Write(part, bytes.substr(1)));
  expect(Checkpoint::DAMAGED, "bytes were written");
  std::string altered = bytes;
  altered[3] ^= 1;
  ASSERT_OK(fleet_.storage().Write(part, altered));
  expect(Checkpoint::DAMAGED, "another content");
  ASSERT_OK(fleet_.storage().Write(part, bytes));
  expect(Checkpoint::COMMITTED, "every byte");
}

TEST_F(CheckpointTroubleTest, AMissingMountDamagesNothing) {
  RunToTheEnd();
  ASSERT_OK(fleet_.storage().Remove("/storage/jobs/tiny/checkpoints"));
  EXPECT_THAT(Verify(), StatusIs(absl::StatusCode::kUnavailable,
                                 HasSubstr("is the storage mounted?")));
  // Who has looked knows that they are lost.
  LORY_ASSERT_OK_AND_ASSIGN(const Checkpoint lost, Verify(12, true));
  EXPECT_EQ(lost.state(), Checkpoint::DAMAGED);
}

TEST_F(CheckpointTroubleTest, DamageOnAnUnbrokenHistoryCanBeMended) {
  DamageStepTen(1);
  // The survivor goes on from step 12 or later.
  fleet_.KillTrainer("w1");
  ASSERT_TRUE(fleet_.RunUntil([&] {
    return fleet_.Job("tiny").generation() >= 2 &&
           fleet_.Job("tiny").state() == Job::RUNNING;
  }));
  ASSERT_OK(fleet_.storage().Write(part_, bytes_));
  EXPECT_EQ(Verify(10)->state(), Checkpoint::COMMITTED);
}

TEST_F(CheckpointTroubleTest, DamageThatWasPassedOverStaysDamage) {
  DamageStepTen(2);
  fleet_.KillTrainer("w0");
  fleet_.KillTrainer("w1");
  // From step 5, so that steps up to 10 are trained again.
  ASSERT_TRUE(fleet_.RunUntil([&] {
    return fleet_.Job("tiny").generation() == 2 &&
           fleet_.Job("tiny").state() == Job::RUNNING;
  }));
  ASSERT_OK(fleet_.storage().Write(part_, bytes_));
  LORY_ASSERT_OK_AND_ASSIGN(const Checkpoint seen, Verify(10));
  EXPECT_EQ(seen.state(), Checkpoint::DAMAGED);
  EXPECT_THAT(seen.reason(),
              HasSubstr("a newer generation has trained its steps"));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  EXPECT_EQ(fleet_.Audit("tiny"), "");
}

TEST_F(CheckpointTroubleTest, WhatIsTriedAgainIsNotToldAsGivenUp) {
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(2, 2, 18)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  fleet_.storage().FillDiskFor("manifest.json");
  ASSERT_TRUE(fleet_.RunUntil([&] { return !FailedSteps().empty(); }));
  lory::v1::ListJobEventsRequest request;
  request.set_parent("jobs/tiny");
  request.set_page_size(1000);
  const auto events = fleet_.core().ListJobEvents(request);
  EXPECT_THAT(events->events().rbegin()->message(),
              HasSubstr("step 5 could not be written yet, and is tried again"));
  fleet_.storage().FillDiskFor("");
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
}

TEST_F(CheckpointTroubleTest, EachThatCannotBeWrittenIsInTheTimelineOnce) {
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(2, 2, 18)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_THAT(FailedSteps(), IsEmpty());
  fleet_.storage().FillDiskFor("part-1");
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.Job("tiny").progress().step() >= 12; }));
  EXPECT_THAT(FailedSteps(), ElementsAre(5, 10));
  // Also across a restart of the coordinator.
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  for (int i = 0; i < 20; ++i) fleet_.Round();
  EXPECT_THAT(FailedSteps(), ElementsAre(5, 10, 15, 18));
  fleet_.storage().FillDiskFor("");
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(CheckpointTroubleTest, AManifestThatCannotBeWrittenIsToldToo) {
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(2, 2, 12)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  fleet_.storage().FillDiskFor("manifest");
  for (int i = 0; i < 30; ++i) fleet_.Round();
  EXPECT_THAT(FailedSteps(), ElementsAre(5, 10, 12));
  fleet_.storage().FillDiskFor("");
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
}

}  // namespace
}  // namespace lory::testing
