#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>

#include <filesystem>

#include "common/base/status_macros.h"
#include "common/config/model_shape.h"
#include "common/data/dataset_manifest.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/train/fleet.h"
#include "worker/checkpoint/checkpoint_reader.h"
#include "worker/train/training_state.h"

// Trainers that begin from a checkpoint in place of random weights.
namespace lory::train {
namespace {

using ::lory::v1::JobSpec;
using ::lory::v1::TrainerStatus;
using ::testing::HasSubstr;

// A job that was trained for 30 steps, and what it left.
struct Trained {
  explicit Trained(JobSpec job_spec = TinySpec(30))
      : spec(std::move(job_spec)), fleet(spec) {
    Member& member = fleet.Add();
    member.AwaitPhase(TrainerStatus::READY);
    fleet.Start({&member}, 30);
    end = member.AwaitPhase(TrainerStatus::FINISHED);
    checkpoint = fleet.CheckpointAt(30, 1);
    checkpoint.set_folder(
        fleet.folder().At("job/checkpoints/" + checkpoint.folder()));
  }

  JobSpec spec;
  Fleet fleet;
  TrainerStatus end;
  lory::v1::Checkpoint checkpoint;
};

JobSpec TunedFrom(const JobSpec& spec, JobSpec::Kind kind, int64_t steps) {
  JobSpec tuned = spec;
  tuned.set_kind(kind);
  tuned.set_step_count(steps);
  tuned.set_init_from("jobs/tiny");
  auto& feed_forward = *tuned.mutable_model()->mutable_feed_forward();
  if (feed_forward.has_lory()) {
    feed_forward.mutable_lory()->set_dense_fraction(-1);
  }
  return tuned;
}

// Every rank of a world of two begins alone, and finds what the end was.
TEST(InitialWeights, AnEvaluationFindsWhatTheTrainingEndedWith) {
  Trained trained;
  Fleet fleet(TunedFrom(trained.spec, JobSpec::EVALUATE, 0));
  fleet.BeginFrom(trained.checkpoint);
  std::vector<Member*> members = {&fleet.Add(), &fleet.Add()};
  fleet.Start(members, 0);
  const auto found =
      members[0]->AwaitPhase(TrainerStatus::FINISHED).progress().evaluation();
  const auto& expected = trained.end.progress().evaluation();
  EXPECT_EQ(found.overall().loss(), expected.overall().loss());
  EXPECT_EQ(found.overall().later_loss(), expected.overall().later_loss());
  EXPECT_EQ(found.train().loss(), expected.train().loss());
  EXPECT_EQ(found.overall().token_count(), 64 * 8);
  EXPECT_EQ(found.overall().later_token_count(), 48 * 8);
  EXPECT_FALSE(std::filesystem::exists(fleet.folder().At("job/checkpoints")));
}

TEST(InitialWeights, TrainingGoesOnFromThemWithAFreshOptimizer) {
  Trained trained;
  Fleet fleet(TunedFrom(trained.spec, JobSpec::TRAIN, 5));
  fleet.BeginFrom(trained.checkpoint);
  Member& member = fleet.Add();
  member.AwaitPhase(TrainerStatus::READY);
  fleet.Start({&member}, 5);
  const TrainerStatus first = member.AwaitStep(1);
  EXPECT_LT(first.progress().loss(), trained.end.progress().loss() + 0.5);
  EXPECT_FALSE(first.progress().dense_phase());
  EXPECT_EQ(member.AwaitPhase(TrainerStatus::FINISHED).applied_step(), 5);
}

absl::StatusOr<TrainingState> Read(const JobSpec& spec,
                                   const lory::v1::Checkpoint& checkpoint) {
  LORY_ASSIGN_OR_RETURN(
      const auto reader,
      lory::checkpoint::CheckpointReader::Open("", checkpoint, [] {}));
  return InitialState(spec, *reader);
}

// Of the next token after each of a text like those of the dataset.
double EntropyOf(const TrainingState& state) {
  at::NoGradGuard no_grad;
  const at::Tensor tokens = at::arange(0, 64, at::kLong).unsqueeze(0);
  return state.model->Forward(tokens, tokens, {.entropy = true})
      .loss_sum.item<double>();
}

TEST(InitialWeights, AdaptationChangesTheGatesAloneAndTheEntropyFalls) {
  JobSpec spec = TinySpec(30);
  auto* ensemble =
      spec.mutable_model()->mutable_feed_forward()->mutable_weight_ensembling();
  ensemble->set_expert_count(4);
  ensemble->set_pool_length(16);
  Trained trained(spec);

  JobSpec adapting = TunedFrom(spec, JobSpec::ADAPT, 30);
  adapting.mutable_optimizer()->set_weight_decay(-1);
  Fleet fleet(adapting);
  fleet.BeginFrom(trained.checkpoint);
  Member& member = fleet.Add();
  member.AwaitPhase(TrainerStatus::READY);
  fleet.Start({&member}, 30);
  member.AwaitPhase(TrainerStatus::FINISHED);
  lory::v1::Checkpoint adapted = fleet.CheckpointAt(30, 1);
  adapted.set_folder(fleet.folder().At("job/checkpoints/" + adapted.folder()));
  LORY_ASSERT_OK_AND_ASSIGN(const TrainingState a,
                            Read(adapting, trained.checkpoint));
  LORY_ASSERT_OK_AND_ASSIGN(const TrainingState b, Read(adapting, adapted));
  int changed = 0;
  for (const lory::model::Parameter& parameter :
       a.model->parameters().parameters()) {
    const bool same =
        parameter.value.equal(b.model->parameters().Get(parameter.name));
    changed += same ? 0 : 1;
    EXPECT_TRUE(same || lory::config::IsRoutingParameter(parameter.name))
        << parameter.name;
  }
  EXPECT_GT(changed, 4);
  EXPECT_LT(EntropyOf(b), EntropyOf(a));
}

TEST(InitialWeights, AnEvaluationOfNothingEndsTheJob) {
  Trained trained;
  Fleet fleet(TunedFrom(trained.spec, JobSpec::EVALUATE, 0));
  const std::string path = fleet.folder().At("manifest.json");
  LORY_ASSERT_OK_AND_ASSIGN(auto manifest,
                            lory::data::ReadDatasetManifest(path));
  manifest.held_out.clear();
  ASSERT_OK(lory::io::LocalStorage().Write(
      path, lory::data::SerializeDatasetManifest(manifest)));
  fleet.BeginFrom(trained.checkpoint);
  const TrainerStatus status = fleet.Add().AwaitPhase(TrainerStatus::FAILED);
  EXPECT_THAT(status.error(), HasSubstr("no held-out text"));
  EXPECT_TRUE(status.error_is_permanent());
}

TEST(InitialWeights, OnesThatChangedSinceEndTheJob) {
  Trained trained;
  trained.checkpoint.mutable_parts(0)->set_sha256(std::string(64, '0'));
  Fleet fleet(TunedFrom(trained.spec, JobSpec::TRAIN, 5));
  fleet.BeginFrom(trained.checkpoint);
  Member& member = fleet.Add();
  fleet.Start({&member}, 5);
  const TrainerStatus status = member.AwaitPhase(TrainerStatus::FAILED);
  EXPECT_THAT(status.error(), HasSubstr("not as it was when the job was"));
  EXPECT_TRUE(status.error_is_permanent());
}

}  // namespace
}  // namespace lory::train
