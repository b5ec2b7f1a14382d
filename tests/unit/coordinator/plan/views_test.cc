#include "coordinator/plan/views.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/plan/made_up_world.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Job;
using ::lory::v1::TrainerStatus;
using ::lory::v1::Worker;

struct ViewsTest : ::testing::Test, MadeUpWorld {
  std::string JobReason(const JobState& job) {
    return BuildJob(view(), job, "").reason();
  }
  std::string WorkerReason(const std::string& name) {
    return BuildWorker(view(), name).reason();
  }
};

TEST_F(ViewsTest, ARunningJobNamesTheGenerationThatTrains) {
  AddWorker("a");
  AddWorker("b");
  JobState& job = AddJob("tiny", Job::RUNNING, 1, 2);
  job.reason = "generation 1 trains on 1 trainer";  // when it began to run
  Start(job, {Slot("a")});
  EXPECT_EQ(JobReason(job), "generation 1 trains on 1 trainer");
  Open(job, {Slot("a"), Slot("b")});
  job.generation.reason = "workers/b slot 0 joins";
  EXPECT_EQ(JobReason(job),
            "generation 1 trains on 1 trainer; generation 2 is prepared: "
            "workers/b slot 0 joins");
  job.started = {.number = 2, .members = job.generation.members};
  job.generation.phase = GenerationState::Phase::kStarted;
  EXPECT_EQ(JobReason(job), "generation 2 trains on 2 trainers");
  job.spec.set_kind(lory::v1::JobSpec::EVALUATE);
  EXPECT_EQ(JobReason(job), "generation 2 evaluates on 2 trainers");
}

TEST_F(ViewsTest, AJobThatSucceededShowsTheMeanSpeedOfItsRun) {
  JobState& job = AddJob("tiny", Job::SUCCEEDED);
  job.spec.set_step_count(100);
  job.spec.set_micro_batch_count(4);
  job.spec.set_micro_batch_sequences(2);
  job.spec.mutable_model()->set_sequence_length(64);
  job.start_time = now;
  job.end_time = now + absl::Seconds(100);
  EXPECT_DOUBLE_EQ(BuildJob(view(), job, "").progress().tokens_per_second(),
                   512);
  job.idle_time = absl::Seconds(50);  // paused
  EXPECT_DOUBLE_EQ(BuildJob(view(), job, "").progress().tokens_per_second(),
                   1024);
  job.state = Job::FAILED;
  EXPECT_EQ(BuildJob(view(), job, "").progress().tokens_per_second(), 0);
}

TEST_F(ViewsTest, AJobThatFailedShowsHowFarItCame) {
  JobState& job = AddJob("tiny", Job::FAILED);
  sessions.runs[job.name].progress.set_step(11);
  EXPECT_EQ(BuildJob(view(), job, "").progress().step(), 11);
  job.state = Job::PAUSED;  // what was not saved is trained again
  EXPECT_EQ(BuildJob(view(), job, "").progress().step(), 0);
}

TEST_F(ViewsTest, AGenerationOfADeletedJobOfTheNameIsNotShown) {
  JobState& job = AddJob("tiny", Job::QUEUED);
  job.generations_before = job.generation.number = 5;
  EXPECT_EQ(BuildJob(view(), job, "").generation(), 0);
}

TEST_F(ViewsTest, ASlotIsHeldFromItsLeaseToTheEndOfItsTrainer) {
  WorkerSession& worker = AddWorker("a", 2);
  JobState& job = AddJob("tiny", Job::STARTING);
  EXPECT_EQ(WorkerReason("workers/a"), "0 of 2 slots are held");
  sessions.leases[Slot("a", 1)] = job.name;
  EXPECT_EQ(WorkerReason("workers/a"), "1 of 2 slots are held");
  PutTrainer(Slot("a", 1), job, TrainerStatus::TRAINING, 1, 5);
  EXPECT_EQ(WorkerReason("workers/a"), "1 of 2 slots are held");
  sessions.leases.clear();  // cancelled; the process is still there
  EXPECT_EQ(WorkerReason("workers/a"), "1 of 2 slots are held");
  worker.trainers.clear();
  EXPECT_EQ(WorkerReason("workers/a"), "0 of 2 slots are held");
}

TEST_F(ViewsTest, AWorkerIsDrainedOnceItsTrainersAreGone) {
  WorkerSession& worker = AddWorker("a", 2);
  JobState& job = AddJob("tiny", Job::RUNNING);
  PutTrainer(Slot("a"), job, TrainerStatus::TRAINING, 1, 5);
  state.draining_workers.insert("workers/a");
  EXPECT_EQ(BuildWorker(view(), "workers/a").state(), Worker::DRAINING);
  EXPECT_EQ(WorkerReason("workers/a"), "1 trainer has to leave yet");
  worker.trainers.clear();
  EXPECT_EQ(BuildWorker(view(), "workers/a").state(), Worker::DRAINING);
  sessions.leases.clear();
  EXPECT_EQ(BuildWorker(view(), "workers/a").state(), Worker::DRAINED);
}

}  // namespace
}  // namespace lory::coordinator
