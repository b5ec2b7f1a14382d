#include "coordinator/engine/initial_weights.h"

#include <string>

#include "common/base/error_detail.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/config/generation_labels.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

// Jobs that begin from the checkpoint of another, or only measure it.
namespace lory::testing {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobSpec;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class InitialWeightsTest : public ::testing::Test {
 protected:
  InitialWeightsTest() {
    SetLogOptions(LogLevel::kError, LogFormat::kText);
    fleet_.AddWorker("w0");
  }
  ~InitialWeightsTest() override {
    SetLogOptions(LogLevel::kInfo, LogFormat::kText);
  }

  // "tiny", trained to its end: checkpoints at 10, 15 and 20.
  void TrainTiny() {
    ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1, 20)));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  }

  // A job that begins from `weights`, with their model.
  static JobSpec From(const std::string& weights) {
    JobSpec spec = Fleet::Spec(1, 1, 20);
    spec.clear_model();
    spec.set_init_from(weights);
    return spec;
  }

  static JobSpec EvaluationOf(const std::string& weights) {
    JobSpec spec;
    spec.set_dataset(Fleet::Spec(1, 1).dataset());
    spec.set_kind(JobSpec::EVALUATE);
    spec.set_init_from(weights);
    return spec;
  }

  // Registers `name`, or registers it anew: a copy of the fleet's dataset made
  // with another tokenizer.
  void AddDataset(const std::string& name, const std::string& tokenizer,
                  int64_t sequence_length = 0) {
    LORY_ASSERT_OK_AND_ASSIGN(
        lory::v1::Dataset dataset,
        fleet_.core().GetDataset(Fleet::Spec(1, 1).dataset()));
    std::vector<lory::internal::v1::JournalRecord> records(1);
    if (name == dataset.name()) {
      records[0].mutable_dataset_deleted()->set_dataset(name);
      records.emplace_back();
    }
    dataset.set_name(name);
    dataset.set_tokenizer_sha256(Sha256Hex(tokenizer));
    if (sequence_length > 0) dataset.set_sequence_length(sequence_length);
    *records.back().mutable_dataset_created()->mutable_dataset() = dataset;
    fleet_.CrashCoordinator();
    ASSERT_OK(fleet_.journal().Append(records));
    fleet_.StartCoordinator();
  }

  absl::Status SubmitOn(const std::string& dataset) {
    JobSpec spec = From("jobs/tiny");
    spec.set_dataset(dataset);
    return fleet_.Submit("on-" + dataset.substr(9), spec).status();
  }

  absl::Status Delete(const std::string& name) {
    lory::v1::JobVerbRequest request;
    request.set_name(name);
    return fleet_.core().DeleteJob(request).status();
  }

  Fleet fleet_;
};

TEST_F(InitialWeightsTest, AJobTakesTheModelOfTheNewestCheckpoint) {
  TrainTiny();
  LORY_ASSERT_OK_AND_ASSIGN(const Job job,
                            fleet_.Submit("tuned", From("jobs/tiny")));
  EXPECT_EQ(job.initial_checkpoint().name(), "jobs/tiny/checkpoints/20");
  EXPECT_THAT(job.initial_checkpoint().folder(),
              EndsWith("jobs/tiny/checkpoints/step-20.gen-1"));
  const auto& lory = job.spec().model().feed_forward().lory();
  EXPECT_EQ(lory.expert_count(), 4);
  EXPECT_EQ(lory.dense_fraction(), -1);
  ASSERT_TRUE(fleet_.RunUntilState("tuned", Job::RUNNING));
  const auto& order = fleet_.daemons()["w0"].trainers.begin()->second.order;
  EXPECT_EQ(order.initial_checkpoint().parts_size(), 1);
  ASSERT_TRUE(fleet_.RunUntilState("tuned", Job::SUCCEEDED));
  EXPECT_EQ(fleet_.Audit("tuned"), "");
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(InitialWeightsTest, WhatEndsAnAnswerStaysWithTheWeights) {
  JobSpec first = Fleet::Spec(1, 1, 20);
  (*first.mutable_labels())[config::kTokenIdsLabel] = R"({"eos_token_id": 2})";
  ASSERT_OK(fleet_.Submit("tiny", first));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  LORY_ASSERT_OK_AND_ASSIGN(const Job job,
                            fleet_.Submit("tuned", From("jobs/tiny")));
  EXPECT_THAT(config::EndTokens(job.spec()), ElementsAre(2));
}

TEST_F(InitialWeightsTest, ACheckpointIsNamedByItsStep) {
  TrainTiny();
  LORY_ASSERT_OK_AND_ASSIGN(
      const Job by_name, fleet_.Submit("a", From("jobs/tiny/checkpoints/15")));
  EXPECT_EQ(by_name.initial_checkpoint().step(), 15);
}

TEST_F(InitialWeightsTest, WhatIsNotThereIsSaid) {
  EXPECT_THAT(fleet_.Submit("a", From("jobs/none")),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("spec.init_from: no job 'jobs/none'")));
  TrainTiny();
  EXPECT_THAT(fleet_.Submit("a", From("jobs/tiny/checkpoints/7")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("no committed checkpoint")));
  JobSpec wider = From("jobs/tiny");
  *wider.mutable_model() = Fleet::Spec(1, 1).model();
  wider.mutable_model()->set_width(64);
  EXPECT_THAT(
      fleet_.Submit("a", wider),
      StatusIs(
          absl::StatusCode::kInvalidArgument,
          HasSubstr("it has model.embed_tokens.weight [256, 64] where the "
                    "checkpoint has model.embed_tokens.weight [256, 32]")));
}

TEST_F(InitialWeightsTest, TokensOfAnotherTokenizerAreRefused) {
  TrainTiny();
  AddDataset("datasets/other", "another");
  const absl::Status refused = SubmitOn("datasets/other");
  EXPECT_THAT(refused,
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(Sha256Hex("tokenizer").substr(0, 12)),
                             HasSubstr(Sha256Hex("another").substr(0, 12)),
                             HasSubstr("lory-corpus build"))));
  EXPECT_EQ(ReasonOf(refused), "TOKENIZER_DIFFERS");
}

TEST_F(InitialWeightsTest, TheTokenizerCountsAndNotTheNameOfTheDataset) {
  TrainTiny();
  AddDataset("datasets/same", "tokenizer");
  AddDataset("datasets/fleet", "another");
  EXPECT_OK(SubmitOn("datasets/same"));
  EXPECT_EQ(ReasonOf(SubmitOn("datasets/fleet")), "TOKENIZER_DIFFERS");
}

TEST_F(InitialWeightsTest, AnOldManifestIsJudgedByTheNameOfItsDataset) {
  TrainTiny();
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto checkpoint,
      fleet_.core().GetCheckpoint("jobs/tiny/checkpoints/20"));
  const std::string path = checkpoint.folder() + "/manifest.json";
  LORY_ASSERT_OK_AND_ASSIGN(const std::string text,
                            fleet_.storage().Read(path));
  LORY_ASSERT_OK_AND_ASSIGN(auto manifest, data::ParseCheckpointManifest(text));
  EXPECT_EQ(manifest.tokenizer_sha256, Sha256Hex("tokenizer"));
  manifest.tokenizer_sha256.clear();
  ASSERT_OK(fleet_.storage().Write(
      path, data::SerializeCheckpointManifest(manifest)));
  AddDataset("datasets/other", "another");
  EXPECT_EQ(ReasonOf(SubmitOn("datasets/other")), "TOKENIZER_DIFFERS");
  AddDataset("datasets/fleet", "another");
  EXPECT_OK(SubmitOn("datasets/other"));
}

TEST_F(InitialWeightsTest, AnOldManifestOfAnotherServiceFitsAny) {
  TrainTiny();
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto checkpoint,
      fleet_.core().GetCheckpoint("jobs/tiny/checkpoints/20"));
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string text,
      fleet_.storage().Read(checkpoint.folder() + "/manifest.json"));
  LORY_ASSERT_OK_AND_ASSIGN(auto manifest, data::ParseCheckpointManifest(text));
  // What they called datasets/fleet is none of ours.
  const TemporaryFolder theirs;
  manifest.tokenizer_sha256.clear();
  ASSERT_OK(fleet_.storage().Write(
      theirs.At("manifest.json"), data::SerializeCheckpointManifest(manifest)));
  AddDataset("datasets/other", "another");
  fleet_.CrashCoordinator();
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto core,
      coordinator::Coordinator::Create(
          {.storage_root = "/storage", .data_roots = {theirs.path()}},
          fleet_.journal(), fleet_.clock(), fleet_.storage()));
  lory::v1::CreateJobRequest request;
  request.set_job_id("tuned");
  *request.mutable_spec() = From(theirs.path());
  request.mutable_spec()->set_dataset("datasets/other");
  EXPECT_OK(core->CreateJob(request));
}

TEST_F(InitialWeightsTest, ACheckpointStaysWhileAJobIsToBeginFromIt) {
  TrainTiny();
  JobSpec waits = From("jobs/tiny/checkpoints/20");
  waits.set_min_workers(3);
  waits.set_max_workers(3);
  ASSERT_OK(fleet_.Submit("tuned", waits));
  EXPECT_EQ(ReasonOf(Delete("jobs/tiny")), "CHECKPOINT_IN_USE");
  lory::v1::JobVerbRequest request;
  request.set_name("jobs/tuned");
  ASSERT_OK(fleet_.core().CancelJob(request));
  EXPECT_OK(Delete("jobs/tiny"));
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(InitialWeightsTest, AnEvaluationHasAResultAndNoCheckpoint) {
  TrainTiny();
  ASSERT_OK(fleet_.Submit("measured", EvaluationOf("jobs/tiny")));
  ASSERT_TRUE(fleet_.RunUntilState("measured", Job::SUCCEEDED))
      << fleet_.Job("measured").ShortDebugString();
  const Job job = fleet_.Job("measured");
  EXPECT_EQ(job.checkpoint_step(), -1);
  EXPECT_EQ(job.progress().evaluation().overall().perplexity(), 12.5);
  EXPECT_THAT(job.reason(), HasSubstr("held-out perplexity 12.5"));
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(InitialWeightsTest, AnEvaluationsResultSurvivesTheCoordinator) {
  TrainTiny();
  ASSERT_OK(fleet_.Submit("measured", EvaluationOf("jobs/tiny")));
  ASSERT_TRUE(fleet_.RunUntilState("measured", Job::SUCCEEDED));
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  EXPECT_EQ(
      fleet_.Job("measured").progress().evaluation().overall().perplexity(),
      12.5);
}

// It may come with the word that the trainer is done.
TEST_F(InitialWeightsTest, WhatATrainingJobEndsWithSurvivesTheCoordinator) {
  TrainTiny();
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  const lory::v1::Evaluation evaluation =
      fleet_.Job("tiny").progress().evaluation();
  EXPECT_EQ(evaluation.overall().perplexity(), 12.5);
  EXPECT_EQ(evaluation.step(), 20);
}

TEST_F(InitialWeightsTest, AnEvaluationSurvivesItsWorker) {
  TrainTiny();
  ASSERT_OK(fleet_.Submit("measured", EvaluationOf("jobs/tiny")));
  ASSERT_TRUE(fleet_.RunUntilState("measured", Job::STARTING));
  fleet_.KillDaemon("w0");
  fleet_.AddWorker("w1");
  ASSERT_TRUE(fleet_.RunUntilState("measured", Job::SUCCEEDED))
      << fleet_.Job("measured").ShortDebugString();
  EXPECT_EQ(fleet_.CheckInvariants(), "");
}

TEST_F(InitialWeightsTest, APausedEvaluationBeginsAnew) {
  TrainTiny();
  ASSERT_OK(fleet_.Submit("measured", EvaluationOf("jobs/tiny")));
  ASSERT_TRUE(fleet_.RunUntilState("measured", Job::STARTING));
  lory::v1::JobVerbRequest request;
  request.set_name("jobs/measured");
  ASSERT_OK(fleet_.core().PauseJob(request));
  ASSERT_TRUE(fleet_.RunUntilState("measured", Job::PAUSED));
  ASSERT_OK(fleet_.core().ResumeJob(request));
  ASSERT_TRUE(fleet_.RunUntilState("measured", Job::SUCCEEDED))
      << fleet_.Job("measured").ShortDebugString();
}

// The job file has no line for what differs: the one that brought it is named.
TEST_F(InitialWeightsTest, AModelThatDoesNotFitIsSaidOfWhatItWasTakenFrom) {
  TrainTiny();
  AddDataset("datasets/longer", "tokenizer", 4096);
  EXPECT_THAT(
      SubmitOn("datasets/longer"),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("spec.init_from: the model of jobs/tiny has"),
                     HasSubstr("datasets/longer has"),
                     HasSubstr("with sequence_length: 4096"))));
  JobSpec spec = Fleet::Spec(1, 1, 20);
  spec.set_init_from("jobs/tiny");
  spec.set_dataset("datasets/longer");
  EXPECT_THAT(fleet_.Submit("written", spec).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("spec.model.sequence_length")));
  spec.mutable_model()->set_sequence_length(4096);
  EXPECT_OK(fleet_.Submit("longer", spec));
}

}  // namespace
}  // namespace lory::testing
