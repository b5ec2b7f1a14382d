#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// What becomes of a checkpoint whose manifest is written while the world goes
// on: a slow disk, against faults and people.
namespace lory::testing {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::Job;

class LateCommitTest : public ::testing::Test {
 protected:
  LateCommitTest() { SetLogOptions(LogLevel::kError, LogFormat::kText); }
  ~LateCommitTest() override {
    SetLogOptions(LogLevel::kInfo, LogFormat::kText);
  }

  // Two workers train; while the manifest of step 5 is written, `meanwhile`
  // happens.
  void Train(int min_workers, std::function<void()> meanwhile) {
    fleet_.AddWorker("w0");
    fleet_.AddWorker("w1");
    ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(min_workers, 2, 40)));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
    bool happened = false;
    fleet_.storage().OnNextWrite("manifest.json", [&] {
      meanwhile();
      happened = true;
    });
    ASSERT_TRUE(fleet_.RunUntil([&] { return happened; }, 30));
  }

  void LoseAllTrainers() {
    fleet_.KillTrainer("w0");
    fleet_.KillTrainer("w1");
    ASSERT_TRUE(
        fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() == 2; }));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  }

  Checkpoint At(int64_t step) {
    const auto checkpoint = fleet_.core().GetCheckpoint(
        absl::StrCat("jobs/tiny/checkpoints/", step));
    return checkpoint.ok() ? *checkpoint : Checkpoint();
  }

  std::vector<std::string> Folders() {
    const auto folders =
        fleet_.storage().List("/storage/jobs/tiny/checkpoints");
    return folders.ok() ? *folders : std::vector<std::string>();
  }

  void Finish() {
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED))
        << fleet_.Job("tiny").ShortDebugString();
    EXPECT_EQ(fleet_.Audit("tiny"), "");
    EXPECT_EQ(fleet_.CheckInvariants(), "");
    // What is in the journal can be replayed.
    fleet_.CrashCoordinator();
    fleet_.StartCoordinator();
    EXPECT_EQ(fleet_.Job("tiny").state(), Job::SUCCEEDED);
  }

  Fleet fleet_;
};

TEST_F(LateCommitTest, IsRefusedWhenANewerGenerationCommittedTheStep) {
  Train(2, [&] {
    LoseAllTrainers();
    ASSERT_TRUE(fleet_.RunUntil([&] { return At(5).generation() == 2; }));
  });
  EXPECT_EQ(At(5).generation(), 2);
  EXPECT_EQ(At(5).state(), Checkpoint::COMMITTED);
  fleet_.Round();
  EXPECT_THAT(
      Folders(),
      ::testing::Not(::testing::Contains(::testing::HasSubstr(".gen-1"))));
  Finish();
}

TEST_F(LateCommitTest, IsRefusedWhenANewerGenerationBeganBelowTheStep) {
  Train(2, [&] { LoseAllTrainers(); });
  EXPECT_EQ(At(5).name(), "");
  fleet_.Round();
  EXPECT_THAT(Folders(), ::testing::IsEmpty());
  Finish();
}

TEST_F(LateCommitTest, IsRefusedEvenWhenTheNewestGenerationBeganAboveTheStep) {
  Train(2, [&] {
    LoseAllTrainers();
    // Generation 2 trains step 5 again, but cannot commit it yet.
    fleet_.storage().FillDiskFor("manifest");
    ASSERT_TRUE(fleet_.RunUntil(
        [&] { return fleet_.Job("tiny").progress().step() == 7; }));
    fleet_.KillTrainer("w1");
    ASSERT_TRUE(
        fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() == 3; }));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  });
  EXPECT_NE(At(5).generation(), 1);
  fleet_.storage().FillDiskFor("");
  Finish();
}

TEST_F(LateCommitTest, CountsWhenTheNewerGenerationWentOnFromThere) {
  Train(1, [&] {
    fleet_.KillTrainer("w1");
    ASSERT_TRUE(
        fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() >= 2; }));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  });
  EXPECT_EQ(At(5).generation(), 1);
  EXPECT_EQ(At(5).state(), Checkpoint::COMMITTED);
  Finish();
}

TEST_F(LateCommitTest, LeavesNothingOfAJobThatWasDeletedMeanwhile) {
  Train(2, [&] {
    lory::v1::JobVerbRequest cancel;
    cancel.set_name("jobs/tiny");
    ASSERT_OK(fleet_.core().CancelJob(cancel));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::CANCELLED));
    lory::v1::JobVerbRequest request;
    request.set_name("jobs/tiny");
    ASSERT_OK(fleet_.core().DeleteJob(request));
    fleet_.Round();
  });
  fleet_.Round();
  EXPECT_THAT(Folders(), ::testing::IsEmpty());
  EXPECT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1)));
}

}  // namespace
}  // namespace lory::testing
