// Coordinator, daemons and (fake) trainers as processes, and what they promise
// when one of them is killed.

#include <signal.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/cluster.h"
#include "tests/support/status_matchers.h"

namespace lory::testing {
namespace {

using ::lory::v1::Job;
using ::testing::HasSubstr;

constexpr int64_t kSteps = 60;

struct ClusterTest : ::testing::Test {
  void SubmitOnTwo(const lory::v1::JobSpec& wanted) {
    spec = wanted;
    cluster.StartWorker("a");
    cluster.StartWorker("b");
    ASSERT_OK(cluster.Submit("tiny", spec));
    ASSERT_OK(WaitForStep(5));
  }

  absl::StatusOr<Job> WaitForStep(int64_t step) {
    return cluster.WaitForJob("tiny", [step](const Job& job) {
      return job.progress().step() >= step && job.state() == Job::RUNNING;
    });
  }

  absl::StatusOr<Job> WaitForState(Job::State state) {
    return cluster.WaitForJob(
        "tiny", [state](const Job& job) { return job.state() == state; });
  }

  // The job ends well, and what it trained is what a faultless run trains.
  void ExpectExactlyOnce() {
    const auto done = WaitForState(Job::SUCCEEDED);
    ASSERT_OK(done) << cluster.Log("coordinator");
    EXPECT_EQ(done->progress().sample_digest(),
              cluster.ExpectedDigest(spec, spec.step_count()));
    EXPECT_EQ(done->checkpoint_step(), spec.step_count());
    const Cluster::Verdict verdict = cluster.Verify("tiny");
    // A fake trainer's parts hold no model; all else must be in order.
    for (const absl::string_view line : absl::StrSplit(verdict.output, '\n')) {
      if (absl::StartsWith(line, "FAILED")) {
        EXPECT_THAT(std::string(line),
                    HasSubstr("the newest committed checkpoint loads"));
      }
    }
    EXPECT_THAT(verdict.output, HasSubstr("samples lost: 0  repeated: 0"));
  }

  void KillTrainer(const std::string& worker) {
    const auto pids = cluster.TrainerPids(worker);
    ASSERT_EQ(pids.size(), 1u);
    ::kill(static_cast<pid_t>(pids[0]), SIGKILL);
  }

  Cluster cluster{{.coordinator = LORY_COORDINATOR_BINARY,
                   .worker = LORY_WORKER_BINARY,
                   .trainer = LORY_FAKE_TRAINER_BINARY,
                   .verify = LORY_VERIFY_BINARY}};
  lory::v1::JobSpec spec;
};

TEST_F(ClusterTest, AJobOfTwoWorkersEndsWell) {
  SubmitOnTwo(cluster.Spec(kSteps, 2));
  ExpectExactlyOnce();
}

TEST_F(ClusterTest, AKilledTrainerIsReplacedWithinSeconds) {
  SubmitOnTwo(cluster.Spec(kSteps, 2));
  KillTrainer("b");
  const absl::Time killed = RealClock().MonotonicNow();
  ASSERT_OK(cluster.WaitForJob("tiny", [](const Job& job) {
    return job.generation() == 2 && job.recovery_count() == 1 &&
           job.state() == Job::RUNNING;
  }));
  RecordProperty("recovery_milliseconds",
                 static_cast<int>(absl::ToInt64Milliseconds(
                     RealClock().MonotonicNow() - killed)));
  ExpectExactlyOnce();
}

TEST_F(ClusterTest, AKilledDaemonThatComesBackTakesItsPlaceAgain) {
  SubmitOnTwo(cluster.Spec(kSteps, 2));
  cluster.KillWorker("a");
  cluster.StartWorker("a");
  ExpectExactlyOnce();
}

TEST_F(ClusterTest, OneWorkerGoesOnAloneIfThatIsEnough) {
  lory::v1::JobSpec wanted = cluster.Spec(kSteps, 1);
  wanted.set_max_workers(2);
  SubmitOnTwo(wanted);
  ASSERT_OK(cluster.WaitForJob(
      "tiny", [](const Job& job) { return job.members_size() == 2; }));
  cluster.KillWorker("b");
  ExpectExactlyOnce();
}

TEST_F(ClusterTest, AKilledCoordinatorLeavesTheGenerationUntouched) {
  SubmitOnTwo(cluster.Spec(kSteps, 2));
  cluster.KillCoordinator();
  cluster.StartCoordinator();
  ExpectExactlyOnce();
  const auto job = cluster.GetJob("tiny");
  ASSERT_OK(job);
  EXPECT_EQ(job->generation(), 1);
  EXPECT_EQ(job->recovery_count(), 0);
}

TEST_F(ClusterTest, AJoinerIsTakenIn) {
  spec = cluster.Spec(300, 1);
  spec.set_max_workers(2);
  cluster.StartWorker("a");
  ASSERT_OK(cluster.Submit("tiny", spec));
  ASSERT_OK(WaitForStep(5));
  cluster.StartWorker("b");
  ASSERT_OK(cluster.WaitForJob(
      "tiny", [](const Job& job) { return job.members_size() == 2; }));
  ExpectExactlyOnce();
}

TEST_F(ClusterTest, ADrainedWorkerLeavesWithoutALostStep) {
  lory::v1::JobSpec wanted = cluster.Spec(200, 1);
  wanted.set_max_workers(2);
  SubmitOnTwo(wanted);
  ASSERT_OK(cluster.WaitForJob(
      "tiny", [](const Job& job) { return job.members_size() == 2; }));
  grpc::ClientContext context;
  lory::v1::WorkerVerbRequest request;
  request.set_name("workers/b");
  request.set_request_id(RandomUuid());
  lory::v1::Worker worker;
  ASSERT_TRUE(cluster.workers().DrainWorker(&context, request, &worker).ok());
  ASSERT_OK(cluster.WaitForJob("tiny", [](const Job& job) {
    return job.members_size() == 1 && job.state() == Job::RUNNING;
  }));
  ExpectExactlyOnce();
  EXPECT_EQ(cluster.GetJob("tiny")->recovery_count(), 0);
}

TEST_F(ClusterTest, APausedJobGoesOnWhereItStopped) {
  SubmitOnTwo(cluster.Spec(kSteps, 2));
  lory::v1::JobVerbRequest request;
  request.set_name("jobs/tiny");
  request.set_request_id(RandomUuid());
  Job job;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(cluster.jobs().PauseJob(&context, request, &job).ok());
  }
  const auto paused = WaitForState(Job::PAUSED);
  ASSERT_OK(paused) << cluster.Log("coordinator");
  EXPECT_EQ(paused->checkpoint_step(), paused->progress().step());
  request.set_request_id(RandomUuid());
  grpc::ClientContext context;
  ASSERT_TRUE(cluster.jobs().ResumeJob(&context, request, &job).ok());
  ExpectExactlyOnce();
}

TEST_F(ClusterTest, ACancelledJobLeavesNoTrainerBehind) {
  SubmitOnTwo(cluster.Spec(100'000, 2));
  grpc::ClientContext context;
  lory::v1::JobVerbRequest request;
  request.set_name("jobs/tiny");
  request.set_request_id(RandomUuid());
  Job job;
  ASSERT_TRUE(cluster.jobs().CancelJob(&context, request, &job).ok());
  ASSERT_OK(WaitForState(Job::CANCELLED));
  EXPECT_TRUE(cluster.TrainerPids("a").empty());
  EXPECT_TRUE(cluster.TrainerPids("b").empty());
}

TEST_F(ClusterTest, AJobThatCannotBeTrainedFailsWithItsReason) {
  spec = cluster.Spec(kSteps, 1);
  (*spec.mutable_labels())["fake-fail"] = "the vocabulary does not fit";
  cluster.StartWorker("a");
  ASSERT_OK(cluster.Submit("tiny", spec));
  const auto failed = WaitForState(Job::FAILED);
  ASSERT_OK(failed);
  EXPECT_THAT(failed->reason(), HasSubstr("the vocabulary does not fit"));
}

TEST_F(ClusterTest, ATrainerThatAlwaysDiesFailsTheJob) {
  spec = cluster.Spec(kSteps, 1);
  (*spec.mutable_labels())["fake-exit-at-step"] = "7";
  cluster.StartWorker("a");
  ASSERT_OK(cluster.Submit("tiny", spec));
  const auto failed = WaitForState(Job::FAILED);
  ASSERT_OK(failed) << cluster.Log("a");
  EXPECT_THAT(failed->reason(), HasSubstr("told to exit at step 7"));
}

// Whatever is killed, in whatever order: nothing is lost, nothing comes twice.
TEST_F(ClusterTest, AKillCampaignLosesNoSample) {
  const uint64_t seed = 20261122;
  RecordProperty("seed", static_cast<int>(seed));
  Random random(seed);
  SubmitOnTwo(cluster.Spec(300, 2));
  for (int kill = 0; kill < 8; ++kill) {
    const std::string worker = random.Below(2) == 0 ? "a" : "b";
    switch (random.Below(4)) {
      case 0:
        cluster.KillCoordinator();
        cluster.StartCoordinator();
        break;
      case 1:
        cluster.KillWorker(worker);
        cluster.StartWorker(worker);
        break;
      default:
        for (const int64_t pid : cluster.TrainerPids(worker)) {
          ::kill(static_cast<pid_t>(pid), SIGKILL);
        }
    }
    // The first answer may still be that of the connection that was cut.
    const auto job =
        cluster.WaitForJob("tiny", [](const Job&) { return true; });
    ASSERT_OK(job);
    const int64_t next =
        job->progress().step() + static_cast<int64_t>(random.Below(20));
    ASSERT_OK(cluster.WaitForJob("tiny",
                                 [next](const Job& seen) {
                                   return seen.state() == Job::SUCCEEDED ||
                                          (seen.progress().step() >= next &&
                                           seen.state() == Job::RUNNING);
                                 }))
        << "kill " << kill << "\n"
        << cluster.Log("coordinator");
  }
  ExpectExactlyOnce();
}

}  // namespace
}  // namespace lory::testing
