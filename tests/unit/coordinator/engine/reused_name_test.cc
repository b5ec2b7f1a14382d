#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "coordinator/state/names.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// A job that has the name of one that was deleted: what is left of that one
// must not be taken for it.
namespace lory::testing {
namespace {

using ::lory::v1::Job;

class ReusedNameTest : public ::testing::Test {
 protected:
  ReusedNameTest() {
    SetLogOptions(LogLevel::kError, LogFormat::kText);
    fleet_.AddWorker("w0");
  }
  ~ReusedNameTest() override {
    SetLogOptions(LogLevel::kInfo, LogFormat::kText);
  }

  absl::Status Act(absl::StatusOr<Job> (coordinator::Coordinator::*verb)(
      const lory::v1::JobVerbRequest&)) {
    lory::v1::JobVerbRequest request;
    request.set_name("jobs/tiny");
    return (fleet_.core().*verb)(request).status();
  }

  // A job that trains in its second generation.
  void TrainTwice() {
    ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1, 40)));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
    fleet_.KillTrainer("w0");
    ASSERT_TRUE(fleet_.RunUntil([&] {
      return fleet_.Job("tiny").generation() == 2 &&
             fleet_.Job("tiny").state() == Job::RUNNING;
    }));
  }

  void Delete() {
    ASSERT_OK(Act(&coordinator::Coordinator::CancelJob));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::CANCELLED));
    ASSERT_OK(Act(&coordinator::Coordinator::DeleteJob));
  }

  void Finish() {
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
    EXPECT_EQ(fleet_.Audit("tiny"), "");
    EXPECT_EQ(fleet_.CheckInvariants(), "");
  }

  // What a trainer of `generation` that lives on would commit.
  absl::Status Commit(int64_t generation) {
    lory::v1::CommitCheckpointRequest request;
    request.set_job("jobs/tiny");
    request.set_step(7);
    request.set_generation(generation);
    request.set_folder(coordinator::CheckpointFolder(7, generation));
    request.set_sample_digest(std::string(32, 'z'));
    request.mutable_part()->set_count(1);
    request.mutable_part()->set_file(coordinator::PartFile(0, 1));
    request.mutable_part()->set_size_bytes(1);
    request.mutable_part()->set_sha256(Sha256Hex("z"));
    return fleet_.core().CommitCheckpoint(request).status();
  }

  Fleet fleet_;
};

TEST_F(ReusedNameTest, GenerationsOfANameAreNeverUsedAgain) {
  TrainTwice();
  Delete();
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1, 40)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_EQ(fleet_.Job("tiny").generation(), 3);
  // Nor after a restart, or after another deletion.
  Delete();
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  fleet_.Round();  // what is left of the files goes
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1, 40)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_EQ(fleet_.Job("tiny").generation(), 4);
  Finish();
}

TEST_F(ReusedNameTest, AZombieOfTheDeletedJobCommitsNothing) {
  TrainTwice();
  Delete();
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1, 40)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  for (const int64_t generation : {1, 2}) {
    EXPECT_EQ(ReasonOf(Commit(generation)), "GENERATION_FENCED");
  }
  Finish();
}

// A trainer that waited for its first generation is told from the successor's.
TEST_F(ReusedNameTest, AlsoAJobThatNeverRanLeavesAMark) {
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(3, 3, 40)));
  ASSERT_OK(Act(&coordinator::Coordinator::CancelJob));
  ASSERT_OK(Act(&coordinator::Coordinator::DeleteJob));
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1, 10)));
  Finish();
  EXPECT_EQ(fleet_.Job("tiny").generation(), 2);
}

}  // namespace
}  // namespace lory::testing
