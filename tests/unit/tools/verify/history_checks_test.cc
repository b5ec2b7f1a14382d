#include "tools/verify/history_checks.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/verify/made_up_run.h"

namespace lory::verify {
namespace {

using ::lory::testing::StatusIs;
using ::lory::v1::Checkpoint;
using ::lory::v1::Job;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(CollectHistory, FindsAJobWithOrWithoutItsPrefix) {
  const MadeUpRun run;
  for (const char* name : {"tiny", "jobs/tiny"}) {
    LORY_ASSERT_OK_AND_ASSIGN(const JobHistory history,
                              CollectHistory(run.records, name));
    EXPECT_EQ(history.starts.size(), 2);
    EXPECT_EQ(history.dataset.sequence_count(), 10);
    EXPECT_EQ(history.RecoveryCount(), 1);
  }
}

TEST(CollectHistory, NamesTheJobsThereAreWhenAskedForAnother) {
  EXPECT_THAT(
      CollectHistory(MadeUpRun().records, "big"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("it has jobs/tiny")));
}

TEST(JobHistory, ADeletedCheckpointIsNotCommittedAnyMore) {
  MadeUpRun run;
  const auto before = static_cast<RecordIndex>(run.records.size()) - 1;
  auto* change = run.records.emplace_back().mutable_checkpoint_state_changed();
  change->set_name("jobs/tiny/checkpoints/2");
  change->set_state(Checkpoint::DELETED);
  EXPECT_TRUE(run.History().CommittedAt(before).contains(2));
  EXPECT_FALSE(run.History().CommittedAt().contains(2));
  EXPECT_TRUE(run.History().CommittedAt().contains(6));
}

TEST(JobHistory, ALaterGenerationFencesAnEarlierOneFromItsStartOn) {
  EXPECT_EQ(MadeUpRun().History().FencedFrom(1), MadeUpRun::kTakeover);
  EXPECT_EQ(MadeUpRun().History().FencedFrom(2), INT64_MAX);
}

TEST(HistoryChecks, AFaultlessHistoryPasses) {
  const JobHistory history = MadeUpRun().History();
  EXPECT_THAT(CheckStates(history).failures(), IsEmpty());
  EXPECT_THAT(CheckSpec(history).failures(), IsEmpty());
  EXPECT_THAT(CheckGenerations(history).failures(), IsEmpty());
}

TEST(CheckGenerations, GoOnFromThoseOfADeletedJobOfTheName) {
  MadeUpRun run;
  for (auto& record : run.records) {
    if (record.has_job_created()) {
      record.mutable_job_created()->mutable_job()->set_generation(3);
    }
  }
  EXPECT_THAT(CheckGenerations(run.History()).failures(),
              Contains(HasSubstr("generation 1 opened after 3")));
}

TEST(CheckGenerations, KnowADeletedJobOfTheNameByItsOwnRecords) {
  MadeUpRun run;
  const auto first = run.records;
  auto& records = run.records;
  records.emplace_back().mutable_job_deleted()->set_job("jobs/tiny");
  for (const auto& record : first) {
    if (!record.has_dataset_created()) records.push_back(record);
  }
  // Its successor begins at 1 again, as if there had been none.
  EXPECT_THAT(CheckGenerations(run.History()).failures(),
              Contains(HasSubstr("follows generation 0, a deleted job of its "
                                 "name had generation 2")));
}

TEST(CheckStates, RefusesToComeBackFromAFinalState) {
  MadeUpRun run;
  run.AddState(Job::RUNNING);
  EXPECT_THAT(CheckStates(run.History()).failures(),
              ElementsAre(HasSubstr("SUCCEEDED to RUNNING")));
}

TEST(CheckStates, LetAJobThatFailedOrWasCancelledBeQueuedAgain) {
  MadeUpRun run;
  while (!run.records.back().has_job_state_changed() ||
         run.records.back().job_state_changed().state() != Job::RUNNING) {
    run.records.pop_back();
  }
  for (const Job::State state :
       {Job::FAILED, Job::QUEUED, Job::CANCELLED, Job::QUEUED}) {
    run.AddState(state);
  }
  EXPECT_THAT(CheckStates(run.History()).failures(), IsEmpty());
  run.AddState(Job::STARTING);
  run.AddState(Job::FAILED);
  run.AddState(Job::STARTING);
  EXPECT_THAT(CheckStates(run.History()).failures(),
              ElementsAre(HasSubstr("FAILED to STARTING")));
}

TEST(CollectHistory, ADatasetIsWhereItsContentWasRegisteredLast) {
  MadeUpRun run;
  const auto add = [&](const std::string& path, const std::string& sha256) {
    auto* dataset =
        run.records.emplace_back().mutable_dataset_created()->mutable_dataset();
    *dataset = run.History().dataset;
    dataset->set_manifest_path(path);
    dataset->set_manifest_sha256(sha256);
  };
  const std::string identity = run.History().dataset.manifest_sha256();
  add("/elsewhere/manifest.json", identity);
  EXPECT_EQ(run.History().dataset.manifest_path(), "/elsewhere/manifest.json");
  add("/other/manifest.json", "of other contents");
  EXPECT_EQ(run.History().dataset.manifest_path(), "/elsewhere/manifest.json");
}

TEST(CheckStates, TakesANewReasonForNoTransition) {
  MadeUpRun run;
  run.AddState(Job::SUCCEEDED);
  EXPECT_TRUE(CheckStates(run.History()).ok());
}

TEST(CheckSpec, LetsPeopleChangeWorkersAndPriorityOnly) {
  MadeUpRun run;
  lory::v1::JobSpec spec = run.History().spec();
  spec.set_max_workers(4);
  spec.set_priority(9);
  auto* change = run.records.emplace_back().mutable_job_spec_changed();
  change->set_job("jobs/tiny");
  *change->mutable_spec() = spec;
  EXPECT_TRUE(CheckSpec(run.History()).ok());
  change->mutable_spec()->set_seed(8);
  EXPECT_THAT(CheckSpec(run.History()).failures(),
              ElementsAre(HasSubstr("seed: 7 -> 8")));
}

TEST(CheckGenerations, RefusesANumberUsedTwiceOrLeftOut) {
  MadeUpRun twice;
  twice.AddOpened(2);
  EXPECT_THAT(CheckGenerations(twice.History()).failures(),
              ElementsAre(HasSubstr("generation 2 opened after 2")));
  MadeUpRun gap;
  gap.AddOpened(4);
  EXPECT_THAT(CheckGenerations(gap.History()).failures(),
              ElementsAre(HasSubstr("generation 4 opened after 2")));
}

TEST(CheckGenerations, RefusesAStartThatWasNeverOpened) {
  MadeUpRun run;
  run.AddStarted(3, 6, 0);
  EXPECT_THAT(CheckGenerations(run.History()).failures(),
              ElementsAre(HasSubstr("started without being opened")));
}

TEST(CheckGenerations, RefusesAStateThatComesFromNowhere) {
  MadeUpRun run;
  run.AddOpened(3);
  auto* start = run.AddStarted(3, 4, -1);
  EXPECT_THAT(CheckGenerations(run.History()).failures(),
              ElementsAre(HasSubstr("from neither a member nor a")));
  start->set_restored_checkpoint_step(4);
  EXPECT_THAT(CheckGenerations(run.History()).failures(),
              ElementsAre(HasSubstr("not COMMITTED at that time")));
  start->set_restored_checkpoint_step(2);
  EXPECT_THAT(CheckGenerations(run.History()).failures(),
              ElementsAre(HasSubstr("restores step 2 but starts at 4")));
  start->set_start_step(2);
  EXPECT_TRUE(CheckGenerations(run.History()).ok());
}

TEST(CheckGenerations, RefusesASourceThatIsNoMember) {
  MadeUpRun run;
  run.AddOpened(3);
  run.AddStarted(3, 6, 2);
  EXPECT_THAT(CheckGenerations(run.History()).failures(),
              ElementsAre(HasSubstr("from rank 2 of 2")));
}

TEST(CheckGenerations, RefusesASecondEnd) {
  MadeUpRun run;
  run.AddEnded(1, false);
  EXPECT_THAT(CheckGenerations(run.History()).failures(),
              ElementsAre("generation 1 ended twice"));
}

}  // namespace
}  // namespace lory::verify
