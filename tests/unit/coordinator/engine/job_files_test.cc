#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// What lies on storage under a job's name: whose it is, and when it goes.
namespace lory::testing {
namespace {

using ::lory::coordinator::Coordinator;
using ::lory::v1::Job;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class JobFilesTest : public ::testing::Test {
 protected:
  JobFilesTest() {
    SetLogOptions(LogLevel::kError, LogFormat::kText);
    fleet_.AddWorker("w0");
    fleet_.AddWorker("w1");
  }
  ~JobFilesTest() override { SetLogOptions(LogLevel::kInfo, LogFormat::kText); }

  absl::Status Act(const std::string& id,
                   absl::StatusOr<Job> (Coordinator::*verb)(
                       const lory::v1::JobVerbRequest&)) {
    lory::v1::JobVerbRequest request;
    request.set_name(absl::StrCat("jobs/", id));
    return (fleet_.core().*verb)(request).status();
  }

  void RunToTheEnd(const std::string& id) {
    ASSERT_OK(fleet_.Submit(id, Fleet::Spec(1, 1, 10)));
    ASSERT_TRUE(fleet_.RunUntilState(id, Job::SUCCEEDED));
  }

  std::vector<std::string> CheckpointFolders() {
    const auto folders =
        fleet_.storage().List("/storage/jobs/tiny/checkpoints");
    return folders.ok() ? *folders : std::vector<std::string>();
  }

  // Until one part of step 5 is in; the other is lost.
  void TrainUntilHalfACheckpointIsIn() {
    ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(2, 2, 10)));
    FleetDaemon& deaf = fleet_.daemons()["w1"];
    FleetDaemon& other = fleet_.daemons()["w0"];
    bool half = false;
    for (int i = 0; i < 60 && !half; ++i) {
      fleet_.MoveDaemon(other);
      fleet_.MoveDaemon(deaf);
      fleet_.MoveTrainers();
      deaf.parts.clear();
      fleet_.CommitParts(other);
      fleet_.clock().Advance(absl::Milliseconds(100));
      fleet_.core().Tick();
      fleet_.core().Inspect(
          [&](const auto&, const coordinator::Sessions& sessions) {
            half = !sessions.pending.empty();
          });
    }
    ASSERT_TRUE(half);
    ASSERT_EQ(fleet_.Job("tiny").checkpoint_step(), -1);
  }

  Fleet fleet_;
};

TEST_F(JobFilesTest, HalfACheckpointGoesWithItsGeneration) {
  TrainUntilHalfACheckpointIsIn();
  fleet_.KillTrainer("w0");
  fleet_.KillTrainer("w1");
  ASSERT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").generation() == 2; }));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  for (int i = 0; i < 3; ++i) fleet_.Round();
  EXPECT_THAT(CheckpointFolders(), Not(Contains(HasSubstr(".gen-1"))));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  EXPECT_EQ(fleet_.Audit("tiny"), "");
}

TEST_F(JobFilesTest, PartsOfADeletedJobAreNoneOfTheNextOnes) {
  TrainUntilHalfACheckpointIsIn();
  ASSERT_OK(Act("tiny", &Coordinator::CancelJob));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::CANCELLED, 10));
  ASSERT_OK(Act("tiny", &Coordinator::DeleteJob));
  auto spec = Fleet::Spec(2, 2, 10);
  spec.set_seed(8);
  ASSERT_OK(fleet_.Submit("tiny", spec));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  EXPECT_OK(fleet_.core().GetCheckpoint("jobs/tiny/checkpoints/5"));
  EXPECT_EQ(fleet_.Audit("tiny"), "");
}

TEST_F(JobFilesTest, ANameIsNotFreeWhileItsFilesAreBeingRemoved) {
  RunToTheEnd("tiny");
  std::string reason;
  fleet_.storage().OnNextRemove("jobs/tiny", [&] {
    fleet_.core().DoHousekeeping();
    reason = ReasonOf(fleet_.Submit("tiny", Fleet::Spec(1, 1)).status());
  });
  ASSERT_OK(Act("tiny", &Coordinator::DeleteJob));
  EXPECT_EQ(reason, "JOB_FILES_REMAIN");
  RunToTheEnd("tiny");
  EXPECT_EQ(fleet_.Audit("tiny"), "");
}

TEST_F(JobFilesTest, HousekeepingLeavesTheFilesOfALaterJobAlone) {
  for (const char* id : {"older", "tiny"}) {
    RunToTheEnd(id);
    ASSERT_OK(Act(id, &Coordinator::DeleteJob));
  }
  // After a restart both folders are looked for again, one after the other.
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  fleet_.storage().OnNextRemove("jobs/older", [&] {
    fleet_.core().DoHousekeeping();
    RunToTheEnd("tiny");
  });
  fleet_.core().DoHousekeeping();
  ASSERT_EQ(fleet_.Job("tiny").state(), Job::SUCCEEDED);
  EXPECT_EQ(fleet_.Audit("tiny"), "");
}

TEST_F(JobFilesTest, AFolderThatTheJournalDoesNotKnowIsNotMixedWithANewJob) {
  ASSERT_OK(fleet_.storage().Write("/storage/jobs/tiny/trace/w0-slot-0.jsonl",
                                   "of another life"));
  const absl::Status refused =
      fleet_.Submit("tiny", Fleet::Spec(1, 1)).status();
  EXPECT_EQ(ReasonOf(refused), "JOB_FOLDER_TAKEN");
  EXPECT_THAT(refused,
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("/storage/jobs/tiny holds files of a job "
                                 "that this coordinator does not know")));
  EXPECT_EQ(fleet_.Job("tiny").name(), "");
  EXPECT_OK(fleet_.Submit("other", Fleet::Spec(1, 1)));
  ASSERT_OK(fleet_.storage().Remove("/storage/jobs/tiny"));
  EXPECT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1)));
}

TEST_F(JobFilesTest, AListShowsThatADatasetIsMissing) {
  const auto list = [&] {
    const auto response =
        fleet_.core().ListDatasets(lory::v1::ListDatasetsRequest());
    return response.ok() ? response->datasets(0) : lory::v1::Dataset();
  };
  EXPECT_EQ(list().state(), lory::v1::Dataset::READY);
  ASSERT_OK(fleet_.storage().Remove("/data/fleet/manifest.json"));
  EXPECT_EQ(list().state(), lory::v1::Dataset::MISSING);
  EXPECT_THAT(list().reason(), HasSubstr("loryctl dataset register fleet"));
}

// A shard named in place of the manifest may be larger than the machine.
TEST_F(JobFilesTest, AFileTooLargeForAManifestIsNotReadAtAll) {
  const std::string large(65 << 20, 'x');
  ASSERT_OK(fleet_.storage().Write("/data/fleet/manifest.json", large));
  lory::v1::ListDatasetsRequest request;
  LORY_ASSERT_OK_AND_ASSIGN(const auto list,
                            fleet_.core().ListDatasets(request));
  EXPECT_EQ(list.datasets(0).state(), lory::v1::Dataset::MISSING);
  EXPECT_THAT(list.datasets(0).reason(),
              HasSubstr("a manifest has at most 67108864"));
}

}  // namespace
}  // namespace lory::testing
