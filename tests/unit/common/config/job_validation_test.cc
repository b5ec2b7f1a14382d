#include "common/config/job_validation.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::config {
namespace {

using ::lory::testing::StatusIs;
using ::lory::v1::JobSpec;
using ::testing::AllOf;
using ::testing::HasSubstr;

JobSpec Good() {
  JobSpec spec;
  spec.set_dataset("datasets/text");
  auto* model = spec.mutable_model();
  model->set_vocabulary_size(256);
  model->set_layer_count(2);
  model->set_width(32);
  model->set_head_count(4);
  model->set_sequence_length(64);
  auto* lory = model->mutable_feed_forward()->mutable_lory();
  lory->set_expert_count(4);
  lory->set_segment_length(16);
  spec.mutable_optimizer()->set_peak_learning_rate(1e-3);
  spec.set_step_count(10);
  spec.set_micro_batch_count(4);
  spec.set_micro_batch_sequences(2);
  return spec;
}

std::string FieldAtFault(const JobSpec& spec) {
  const auto violations = FieldViolationsOf(ValidateJobSpec(spec));
  return violations.empty() ? "" : violations[0].field;
}

TEST(ValidateJobSpec, AcceptsAGoodOne) { EXPECT_OK(ValidateJobSpec(Good())); }

TEST(ValidateJobSpec, AnEvaluationNeedsWeightsAndNoSteps) {
  JobSpec spec;
  spec.set_dataset("datasets/text");
  spec.set_kind(JobSpec::EVALUATE);
  const auto violations = FieldViolationsOf(ValidateJobSpec(spec));
  ASSERT_EQ(violations.size(), 1u);  // nothing of a model, which it never has
  EXPECT_EQ(violations[0].field, "spec.init_from");
  spec.set_init_from("jobs/tiny");
  EXPECT_OK(ValidateJobSpec(spec));
  const JobSpec full = FillDefaults(spec);
  EXPECT_EQ(full.micro_batch_sequences(), 8);
  EXPECT_FALSE(full.has_checkpoint());
  spec.set_step_count(5);
  EXPECT_EQ(FieldAtFault(spec), "spec.step_count");
  spec.set_step_count(0);
  spec.mutable_optimizer()->set_peak_learning_rate(1);
  EXPECT_EQ(FieldAtFault(spec), "spec.optimizer");
}

TEST(ValidateJobSpec, OnlyGatesOfAnEnsembleAreAdapted) {
  JobSpec spec = Good();
  spec.set_kind(JobSpec::ADAPT);
  EXPECT_EQ(FieldAtFault(spec), "spec.init_from");
  spec.set_init_from("jobs/tiny");
  EXPECT_EQ(FieldAtFault(spec), "spec.model.feed_forward");
  auto* gates =
      spec.mutable_model()->mutable_feed_forward()->mutable_weight_ensembling();
  gates->set_expert_count(2);
  gates->set_pool_length(16);
  EXPECT_OK(ValidateJobSpec(spec));
  EXPECT_EQ(FillDefaults(spec).optimizer().weight_decay(), -1);
  spec.mutable_optimizer()->set_weight_decay(0.1);
  EXPECT_EQ(FieldAtFault(spec), "spec.optimizer.weight_decay");
}

TEST(ValidateJobSpec, PartOfAModelIsNotLaidOverThatOfACheckpoint) {
  JobSpec spec = Good();
  spec.clear_model();
  spec.set_init_from("jobs/tiny");
  auto& model = *spec.mutable_model();
  model.mutable_feed_forward()->mutable_lory()->set_expert_count(8);
  model.mutable_feed_forward()->mutable_lory()->set_segment_length(32);
  model.set_vocabulary_size(256);
  model.set_sequence_length(64);
  const auto violations = FieldViolationsOf(ValidateJobSpec(spec));
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "spec.model");
  EXPECT_THAT(violations[0].description,
              AllOf(HasSubstr("to be the checkpoint's, or written whole"),
                    HasSubstr("layer_count"), HasSubstr("width")));
  // Mistakes in what is there are told as well.
  model.set_vocabulary_size(1);
  const auto both = FieldViolationsOf(ValidateJobSpec(spec));
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].field, "spec.model");
  EXPECT_EQ(both[1].field, "spec.model.vocabulary_size");
  model.set_vocabulary_size(256);
  // One that is whole is told of its own mistakes.
  spec.mutable_model()->MergeFrom(Good().model());
  spec.mutable_model()->set_width(3);
  EXPECT_EQ(FieldAtFault(spec), "spec.model.width");
}

TEST(ValidateJobSpec, NamesTheFieldOfEachMistake) {
  JobSpec spec = Good();
  spec.set_dataset("text");
  EXPECT_EQ(FieldAtFault(spec), "spec.dataset");
  spec = Good();
  spec.set_step_count(0);
  EXPECT_EQ(FieldAtFault(spec), "spec.step_count");
  spec = Good();
  spec.mutable_model()
      ->mutable_feed_forward()
      ->mutable_lory()
      ->set_segment_length(15);
  EXPECT_EQ(FieldAtFault(spec), "spec.model.feed_forward.lory.segment_length");
  spec = Good();
  spec.mutable_model()->set_width(30);
  EXPECT_EQ(FieldAtFault(spec), "spec.model.width");
  spec = Good();
  spec.mutable_optimizer()->set_peak_learning_rate(0);
  EXPECT_EQ(FieldAtFault(spec), "spec.optimizer.peak_learning_rate");
  spec = Good();
  spec.set_max_workers(5);
  EXPECT_EQ(FieldAtFault(spec), "spec.micro_batch_count");
  spec = Good();
  spec.set_min_workers(3);
  spec.set_max_workers(2);
  EXPECT_EQ(FieldAtFault(spec), "spec.max_workers");
  spec = Good();
  spec.set_priority(2000);
  EXPECT_EQ(FieldAtFault(spec), "spec.priority");
  spec = Good();
  spec.set_seed(-3);
  EXPECT_EQ(FieldAtFault(spec), "spec.seed");
}

TEST(ValidateJobSpec, ASpanOfTimeIsToldAsItWasWritten) {
  JobSpec spec = Good();
  auto& every = *spec.mutable_checkpoint()->mutable_every();
  const auto told = [&] {
    const auto violations = FieldViolationsOf(ValidateJobSpec(spec));
    return violations.empty() ? "" : violations[0].description;
  };
  every.set_nanos(500'000'000);
  EXPECT_EQ(told(), "500ms is not in 1s..8760h");
  every.set_nanos(0);
  EXPECT_EQ(told(), "0 is not in 1s..8760h");
  every.set_seconds(9000 * 3600);
  EXPECT_EQ(told(), "9000h is not in 1s..8760h");
  every.set_seconds(1);
  every.set_nanos(500'000'000);
  EXPECT_EQ(told(), "");
}

TEST(ValidateJobSpec, NamesAllMistakesAtOnce) {
  JobSpec spec = Good();
  spec.set_step_count(0);
  spec.set_micro_batch_sequences(0);
  EXPECT_EQ(FieldViolationsOf(ValidateJobSpec(spec)).size(), 2u);
}

TEST(ValidateJobSpec, NamesAllMistakesOfABlockAtOnce) {
  JobSpec spec = Good();
  spec.mutable_model()->set_head_count(5);
  spec.mutable_model()->set_rotary_base(-1);
  spec.mutable_model()
      ->mutable_feed_forward()
      ->mutable_lory()
      ->set_expert_count(999);
  spec.mutable_optimizer()->set_beta1(1.5);
  spec.mutable_optimizer()->set_warmup_fraction(7);
  std::vector<std::string> fields;
  for (const auto& violation : FieldViolationsOf(ValidateJobSpec(spec))) {
    fields.push_back(violation.field);
  }
  EXPECT_THAT(fields,
              ::testing::ElementsAre(
                  "spec.model.width", "spec.model.rotary_base",
                  "spec.model.feed_forward.lory.expert_count",
                  "spec.optimizer.beta1", "spec.optimizer.warmup_fraction"));
}

TEST(ValidateJobSpec, TellsHowFarAValueMayGo) {
  JobSpec spec = Good();
  spec.mutable_optimizer()->set_peak_learning_rate(1e9);
  spec.mutable_optimizer()->set_weight_decay(1e9);
  spec.mutable_optimizer()->set_clip_norm(1e30);
  const absl::Status status = ValidateJobSpec(spec);
  EXPECT_EQ(FieldViolationsOf(status).size(), 3u);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("1e+09 is above 10, the most")));
}

TEST(ValidateJobSpec, SaysThatExactComesLater) {
  JobSpec spec = Good();
  spec.set_numerics(JobSpec::EXACT);
  EXPECT_THAT(ValidateJobSpec(spec), StatusIs(absl::StatusCode::kUnimplemented,
                                              HasSubstr("later release")));
}

TEST(FillDefaults, WritesEveryDefaultOutAndChangesNothingElse) {
  const JobSpec filled = FillDefaults(Good());
  EXPECT_EQ(filled.min_workers(), 1);
  EXPECT_EQ(filled.max_workers(), 1);
  EXPECT_EQ(filled.numerics(), JobSpec::FAST);
  EXPECT_EQ(filled.checkpoint().keep_count(), 3);
  EXPECT_EQ(filled.model().key_value_head_count(), 4);
  EXPECT_GT(filled.model().feed_forward_width(), 0);
  EXPECT_EQ(filled.optimizer().beta2(), 0.95);
  EXPECT_OK(ValidateJobSpec(filled));
  EXPECT_EQ(FillDefaults(filled).SerializeAsString(),
            filled.SerializeAsString());
}

TEST(FillDefaults, KeepsNegativesThatSayNone) {
  JobSpec spec = Good();
  spec.mutable_optimizer()->set_weight_decay(-1);
  spec.mutable_model()
      ->mutable_feed_forward()
      ->mutable_lory()
      ->set_dense_fraction(-1);
  const JobSpec filled = FillDefaults(spec);
  EXPECT_EQ(filled.optimizer().weight_decay(), -1);
  EXPECT_EQ(filled.model().feed_forward().lory().dense_fraction(), -1);
}

TEST(CheckAgainstDataset, NamesWhatDisagrees) {
  EXPECT_OK(CheckAgainstDataset(Good(), 256, 64));
  EXPECT_THAT(CheckAgainstDataset(Good(), 300, 64),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("has 300 ids")));
  EXPECT_THAT(CheckAgainstDataset(Good(), 256, 128),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("have 128 tokens")));
}

}  // namespace
}  // namespace lory::config
