#include "common/config/feed_forward_shape.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::config {
namespace {

using ::lory::testing::StatusIs;
using ::lory::v1::FeedForwardSpec;
using ::lory::v1::ModelSpec;
using ::testing::StartsWith;

// Two layers of width 64, feed-forwards of width 192, sequences of 128.
ModelSpec SpecWith(const std::string& feed_forward) {
  ModelSpec spec;
  spec.set_vocabulary_size(100);
  spec.set_layer_count(2);
  spec.set_width(64);
  spec.set_head_count(4);
  spec.set_sequence_length(128);
  LORY_CHECK(google::protobuf::TextFormat::ParseFromString(
      feed_forward, spec.mutable_feed_forward()));
  return spec;
}

ModelShape ShapeOf(const std::string& feed_forward) {
  const auto shape = ResolveModelShape(SpecWith(feed_forward));
  EXPECT_OK(shape.status()) << feed_forward;
  return shape.ok() ? *shape : ModelShape();
}

constexpr int64_t kExpert = 3 * 64 * 192;  // of one layer
constexpr int64_t kRouterSize = 64;        // of one expert in one layer
const int64_t kDenseSize = ParameterCount(ShapeOf("dense {}"));

void ExpectRefused(const std::string& feed_forward, absl::string_view field) {
  EXPECT_THAT(ValidateModelSpec(SpecWith(feed_forward), "spec.model"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith(absl::StrCat("spec.model.feed_forward.",
                                               field, ": "))))
      << feed_forward;
}

TEST(FeedForwardShape, EveryVariantHasATableEntryAndDefaults) {
  const auto& variants = *FeedForwardSpec::descriptor()->oneof_decl(0);
  for (int i = 0; i < variants.field_count(); ++i) {
    const std::string name = variants.field(i)->name();
    if (name == "dense") continue;
    // Either a shape, or a complaint about one of its own fields.
    ExpectRefused(absl::StrCat(name, " {}"),
                  absl::StrCat(name, ".expert_count"));
  }
}

TEST(FeedForwardShape, ResolvedOptionsResolveToThemselves) {
  for (const char* text :
       {"dense {}", "lory { expert_count: 4 segment_length: 16 }",
        "prefix_routing { expert_count: 4 segment_length: 16 }",
        "token_choice { expert_count: 4 }", "expert_choice { expert_count: 4 }",
        "smear { expert_count: 4 pool_length: 8 }",
        "soft_moe { expert_count: 4 allow_noncausal: true }",
        "weight_ensembling { expert_count: 4 pool_length: 8 }"}) {
    const FeedForwardSpec once = ShapeOf(text).feed_forward_spec;
    EXPECT_EQ(
        ShapeOf(once.ShortDebugString()).feed_forward_spec.ShortDebugString(),
        once.ShortDebugString());
  }
}

TEST(FeedForwardShape, NoVariantIsRefused) {
  EXPECT_THAT(ValidateModelSpec(SpecWith(""), "model"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("model.feed_forward: no variant is set: "
                                  "choose dense, lory")));
}

TEST(FeedForwardShape, PrefixRouting) {
  const ModelShape shape =
      ShapeOf("prefix_routing { expert_count: 4 segment_length: 24 }");
  EXPECT_EQ(shape.expert_count, 4);
  EXPECT_EQ(shape.dense_fraction, 0.05);
  EXPECT_EQ(ActiveParameterCount(shape), kDenseSize);
  EXPECT_EQ(ParameterCount(shape),
            kDenseSize + 2 * (3 * kExpert + 4 * kRouterSize));
  EXPECT_EQ(shape.feed_forward_summary,
            "4 experts merged for a sequence by its first 24 tokens");
  EXPECT_EQ(SegmentLengthOf(shape.feed_forward_spec), 24);
  ExpectRefused("prefix_routing { expert_count: 4 segment_length: 129 }",
                "prefix_routing.segment_length");
}

TEST(FeedForwardShape, TokenChoice) {
  using TokenChoice = ::lory::v1::TokenChoiceFeedForward;
  const ModelShape shape = ShapeOf("token_choice { expert_count: 8 }");
  const TokenChoice& options = shape.feed_forward_spec.token_choice();
  EXPECT_EQ(options.top_k(), 2);
  EXPECT_EQ(options.weights(), TokenChoice::RENORMALISED);
  EXPECT_EQ(options.balance(), TokenChoice::SWITCH);
  EXPECT_EQ(options.balance_coefficient(), 0.01);
  EXPECT_EQ(shape.dense_fraction, 0.05);
  // Two experts of eight, and the router that chooses them.
  EXPECT_EQ(ActiveParameterCount(shape),
            kDenseSize + 2 * (kExpert + 8 * kRouterSize));
  EXPECT_EQ(ParameterCount(shape),
            kDenseSize + 2 * (7 * kExpert + 8 * kRouterSize));
  EXPECT_EQ(shape.feed_forward_summary, "8 experts, 2 for each token");

  const ModelShape one = ShapeOf("token_choice { expert_count: 8 top_k: 1 }");
  EXPECT_EQ(one.feed_forward_spec.token_choice().weights(),
            TokenChoice::PROBABILITY);
  EXPECT_EQ(one.dense_fraction, 0);
  EXPECT_EQ(ShapeOf("token_choice { expert_count: 8 balance: HF_MIXTRAL }")
                .feed_forward_spec.token_choice()
                .balance_coefficient(),
            0.02);
  ExpectRefused("token_choice { expert_count: 2 top_k: 3 }",
                "token_choice.top_k");
  ExpectRefused("token_choice { expert_count: 2 balance_coefficient: -1 }",
                "token_choice.balance_coefficient");
  ExpectRefused("token_choice { expert_count: 2 z_loss_coefficient: nan }",
                "token_choice.z_loss_coefficient");
  ExpectRefused("token_choice { expert_count: 2 dense_fraction: 1 }",
                "token_choice.dense_fraction");
}

TEST(FeedForwardShape, ExpertChoice) {
  using ExpertChoice = ::lory::v1::ExpertChoiceFeedForward;
  const ModelShape shape = ShapeOf("expert_choice { expert_count: 8 }");
  const ExpertChoice& options = shape.feed_forward_spec.expert_choice();
  EXPECT_EQ(options.capacity_factor(), 1);
  EXPECT_EQ(options.level(), ExpertChoice::TOKEN);
  EXPECT_EQ(options.group(), ExpertChoice::SEQUENCE);
  EXPECT_EQ(shape.dense_fraction, 0);
  EXPECT_TRUE(shape.is_causal);
  EXPECT_EQ(ActiveParameterCount(shape), kDenseSize + 2 * 8 * kRouterSize);
  EXPECT_EQ(shape.feed_forward_summary, "8 experts that choose their tokens");

  const ModelShape segments = ShapeOf(
      "expert_choice { expert_count: 8 level: SEGMENT segment_length: 32 "
      "capacity_factor: 2 }");
  EXPECT_EQ(segments.segment_length, 32);
  EXPECT_EQ(ActiveParameterCount(segments),
            kDenseSize + 2 * (kExpert + 8 * kRouterSize));
  EXPECT_EQ(segments.feed_forward_summary,
            "8 experts that choose their segments of 32");
  ExpectRefused("expert_choice { expert_count: 8 segment_length: 32 }",
                "expert_choice.segment_length");
  ExpectRefused(
      "expert_choice { expert_count: 8 level: SEGMENT segment_length: 33 }",
      "expert_choice.segment_length");
  ExpectRefused("expert_choice { expert_count: 8 capacity_factor: 9 }",
                "expert_choice.capacity_factor");
  ExpectRefused("expert_choice { expert_count: 8 capacity_factor: nan }",
                "expert_choice.capacity_factor");
}

TEST(FeedForwardShape, Smear) {
  const ModelShape shape = ShapeOf("smear { expert_count: 4 pool_length: 16 }");
  EXPECT_EQ(shape.feed_forward_spec.smear().expert_dropout(), 0.1);
  EXPECT_EQ(shape.feed_forward_spec.smear().router_init_stddev(), 0.01);
  EXPECT_TRUE(shape.is_causal);
  EXPECT_EQ(ActiveParameterCount(shape), kDenseSize);
  EXPECT_EQ(ParameterCount(shape),
            kDenseSize + 2 * (3 * kExpert + 8 * kRouterSize));
  ExpectRefused("smear { expert_count: 4 }", "smear.allow_noncausal");
  ExpectRefused("smear { expert_count: 4 pool_length: 128 }",
                "smear.allow_noncausal");
  ExpectRefused("smear { expert_count: 4 pool_length: 129 }",
                "smear.pool_length");
  ExpectRefused("smear { expert_count: 4 pool_length: 8 expert_dropout: 1 }",
                "smear.expert_dropout");
  const ModelShape all =
      ShapeOf("smear { expert_count: 4 allow_noncausal: true }");
  EXPECT_FALSE(all.is_causal);
  EXPECT_EQ(all.feed_forward_summary,
            "4 experts merged for a sequence by all of it, not causal");
}

TEST(FeedForwardShape, SoftMoe) {
  const ModelShape shape =
      ShapeOf("soft_moe { expert_count: 5 allow_noncausal: true }");
  EXPECT_EQ(shape.feed_forward_spec.soft_moe().slots_per_expert(), 26);
  EXPECT_FALSE(shape.is_causal);
  EXPECT_EQ(shape.dense_fraction, 0);
  EXPECT_EQ(ActiveParameterCount(shape), ParameterCount(shape));
  EXPECT_EQ(ParameterCount(shape),
            kDenseSize + 2 * (4 * kExpert + 5 * 26 * kRouterSize + 1));
  EXPECT_EQ(shape.feed_forward_summary, "5 experts of 26 slots, not causal");
  ExpectRefused("soft_moe { expert_count: 5 }", "soft_moe.allow_noncausal");
  ExpectRefused(
      "soft_moe { expert_count: 5 allow_noncausal: true slots_per_expert: -1 }",
      "soft_moe.slots_per_expert");
}

TEST(FeedForwardShape, WeightEnsembling) {
  using Options = ::lory::v1::WeightEnsemblingFeedForward;
  const ModelShape shape =
      ShapeOf("weight_ensembling { expert_count: 3 pool_length: 8 }");
  const Options& options = shape.feed_forward_spec.weight_ensembling();
  EXPECT_EQ(options.gate(), Options::TWO_LAYERS);
  EXPECT_EQ(options.initial_weight(), 0.3);
  EXPECT_EQ(options.router_init_stddev(), 0.01);
  EXPECT_TRUE(shape.is_causal);
  EXPECT_EQ(shape.dense_fraction, 0);
  EXPECT_EQ(ActiveParameterCount(shape), kDenseSize);
  // The base and three task vectors; a map of 64 x 65 and one of 3 x 65.
  EXPECT_EQ(ParameterCount(shape),
            kDenseSize + 2 * (3 * kExpert + 64 * 65 + 3 * 65));
  EXPECT_EQ(shape.feed_forward_summary,
            "a base and 3 task vectors weighted by a sequence's first 8 "
            "tokens");
  const ModelShape constant =
      ShapeOf("weight_ensembling { expert_count: 3 gate: CONSTANT }");
  EXPECT_TRUE(constant.is_causal);
  EXPECT_EQ(ParameterCount(constant), kDenseSize + 2 * (3 * kExpert + 3));
  EXPECT_FALSE(ShapeOf("weight_ensembling { expert_count: 3 gate: LINEAR "
                       "allow_noncausal: true }")
                   .is_causal);
  ExpectRefused("weight_ensembling { expert_count: 3 }",
                "weight_ensembling.allow_noncausal");
  ExpectRefused(
      "weight_ensembling { expert_count: 3 gate: CONSTANT pool_length: 8 }",
      "weight_ensembling.pool_length");
  ExpectRefused(
      "weight_ensembling { expert_count: 3 pool_length: 8 initial_weight: -1 }",
      "weight_ensembling.initial_weight");
  ExpectRefused("weight_ensembling { expert_count: 3 pool_length: 129 }",
                "weight_ensembling.pool_length");
}

TEST(RemoveDensePhase, KeepsTheRestOfTheOptions) {
  ModelSpec spec =
      SpecWith("prefix_routing { expert_count: 4 segment_length: 24 }");
  RemoveDensePhase(*spec.mutable_feed_forward());
  EXPECT_EQ(spec.feed_forward().prefix_routing().dense_fraction(), -1);
  EXPECT_EQ(spec.feed_forward().prefix_routing().segment_length(), 24);
  spec.mutable_feed_forward()->mutable_dense();
  RemoveDensePhase(*spec.mutable_feed_forward());
  EXPECT_TRUE(spec.feed_forward().has_dense());
}

TEST(SegmentLengthOf, IsZeroWhereNothingSaysSo) {
  EXPECT_EQ(SegmentLengthOf(FeedForwardSpec()), 0);
  EXPECT_EQ(SegmentLengthOf(ShapeOf("dense {}").feed_forward_spec), 0);
}

}  // namespace
}  // namespace lory::config
