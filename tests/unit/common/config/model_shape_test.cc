#include "common/config/model_shape.h"

#include <cmath>
#include <limits>
#include <set>

#include "common/config/optimizer_defaults.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::config {
namespace {

using ::lory::testing::StatusIs;
using ::lory::v1::LoryFeedForward;
using ::lory::v1::ModelSpec;
using ::lory::v1::OptimizerSpec;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ModelSpec PaperSpec(int32_t layers, int32_t width, int32_t heads,
                    int32_t experts) {
  ModelSpec spec;
  spec.set_vocabulary_size(32000);
  spec.set_layer_count(layers);
  spec.set_width(width);
  spec.set_head_count(heads);
  spec.set_sequence_length(4096);
  if (experts == 0) {
    spec.mutable_feed_forward()->mutable_dense();
  } else {
    auto* lory = spec.mutable_feed_forward()->mutable_lory();
    lory->set_expert_count(experts);
    lory->set_segment_length(256);
  }
  return spec;
}

ModelSpec SmallLory() { return PaperSpec(2, 64, 4, 8); }

double Billions(const ModelSpec& spec) {
  return static_cast<double>(ParameterCount(*ResolveModelShape(spec))) / 1e9;
}

TEST(ParameterCount, PrintsThePapersTotals) {
  struct Row {
    int32_t layers, width, heads, experts;
    double billions;
  };
  for (const Row& row :
       {Row{24, 1024, 16, 0, 0.374}, Row{24, 1024, 16, 8, 1.827},
        Row{24, 1024, 16, 16, 3.489}, Row{24, 1024, 16, 32, 6.811},
        Row{48, 1536, 24, 0, 1.457}, Row{48, 1536, 24, 8, 7.800},
        Row{48, 1536, 24, 16, 15.048}, Row{48, 1536, 24, 32, 29.545},
        Row{32, 4096, 32, 0, 6.738}, Row{32, 4096, 32, 4, 19.725}}) {
    const ModelSpec spec =
        PaperSpec(row.layers, row.width, row.heads, row.experts);
    EXPECT_NEAR(Billions(spec), row.billions, 0.0005)
        << row.width << " wide, " << row.experts << " experts";
    const ModelSpec dense = PaperSpec(row.layers, row.width, row.heads, 0);
    EXPECT_EQ(ActiveParameterCount(*ResolveModelShape(spec)),
              ParameterCount(*ResolveModelShape(dense)));
  }
}

TEST(LlamaFeedForwardWidth, IsThePapersForThePapersWidths) {
  EXPECT_EQ(LlamaFeedForwardWidth(1024), 2816);
  EXPECT_EQ(LlamaFeedForwardWidth(1536), 4096);
  EXPECT_EQ(LlamaFeedForwardWidth(4096), 11008);
  EXPECT_EQ(LlamaFeedForwardWidth(512), 1536);
  EXPECT_EQ(LlamaFeedForwardWidth(256), 704);
  EXPECT_EQ(LlamaFeedForwardWidth(12), 32);
}

TEST(ResolveModelShape, FillsInDefaults) {
  LORY_ASSERT_OK_AND_ASSIGN(const ModelShape shape,
                            ResolveModelShape(SmallLory()));
  EXPECT_EQ(shape.key_value_head_count, 4);
  EXPECT_EQ(shape.head_width, 16);
  EXPECT_EQ(shape.feed_forward_width, 192);
  EXPECT_EQ(shape.rotary_base, 10000);
  EXPECT_EQ(shape.norm_epsilon, 1e-5);
  EXPECT_EQ(shape.init_stddev, 0.02);
  const LoryFeedForward& lory = shape.feed_forward_spec.lory();
  EXPECT_EQ(lory.router_init_stddev(), 0.02);
  EXPECT_EQ(lory.first_segment(), LoryFeedForward::SELF_STOP_GRADIENT);
  EXPECT_EQ(shape.dense_fraction, 0.05);
}

TEST(ResolveModelShape, NamesTheFieldThatIsWrong) {
  const auto expect = [](absl::string_view field, auto&& change) {
    ModelSpec spec = SmallLory();
    change(spec, *spec.mutable_feed_forward()->mutable_lory());
    EXPECT_THAT(ValidateModelSpec(spec, "spec.model"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         StartsWith(absl::StrCat("spec.model.", field, ": "))));
  };
  using Lory = LoryFeedForward;
  expect("vocabulary_size", [](auto& m, Lory&) { m.set_vocabulary_size(1); });
  expect("layer_count", [](auto& m, Lory&) { m.set_layer_count(0); });
  expect("width", [](auto& m, Lory&) { m.set_width(4); });
  expect("width", [](auto& m, Lory&) { m.set_head_count(5); });
  expect("head_count", [](auto& m, Lory&) { m.set_head_count(64); });
  expect("head_count", [](auto& m, Lory&) { m.set_key_value_head_count(3); });
  expect("key_value_head_count",
         [](auto& m, Lory&) { m.set_key_value_head_count(8); });
  expect("sequence_length", [](auto& m, Lory&) { m.set_sequence_length(0); });
  expect("rotary_base", [](auto& m, Lory&) { m.set_rotary_base(-1); });
  expect("feed_forward", [](auto& m, Lory&) { m.clear_feed_forward(); });
  expect("feed_forward.lory.expert_count",
         [](auto&, Lory& lory) { lory.set_expert_count(257); });
  expect("feed_forward.lory.segment_length",
         [](auto&, Lory& lory) { lory.set_segment_length(100); });
  expect("feed_forward.lory.router_init_stddev",
         [](auto&, Lory& lory) { lory.set_router_init_stddev(-1); });
  expect("feed_forward.lory.dense_fraction",
         [](auto&, Lory& lory) { lory.set_dense_fraction(1); });
  expect("feed_forward.lory.dense_fraction", [](auto&, Lory& lory) {
    lory.set_dense_fraction(std::numeric_limits<double>::quiet_NaN());
  });
}

TEST(LeakLength, IsWhatRoutesItself) {
  ModelSpec spec = SmallLory();
  const auto leak = [&] { return LeakLength(*ResolveModelShape(spec)); };
  auto& feed_forward = *spec.mutable_feed_forward();
  EXPECT_EQ(leak(), 256);
  feed_forward.mutable_lory()->set_first_segment(
      lory::v1::LoryFeedForward::LEARNED);
  EXPECT_EQ(leak(), 0);
  feed_forward.mutable_smear()->set_expert_count(4);
  feed_forward.mutable_smear()->set_pool_length(32);
  EXPECT_EQ(leak(), 32);
  feed_forward.mutable_expert_choice()->set_expert_count(4);
  EXPECT_EQ(leak(), 0);
  feed_forward.mutable_dense();
  EXPECT_EQ(leak(), 0);
}

TEST(DenseStepCount, IsTheShareAskedFor) {
  ModelShape shape = *ResolveModelShape(SmallLory());
  EXPECT_EQ(DenseStepCount(shape, 1000), 50);
  EXPECT_EQ(DenseStepCount(shape, 3), 1);
  shape.dense_fraction = 0;
  EXPECT_EQ(DenseStepCount(shape, 1000), 0);
  EXPECT_EQ(DenseStepCount(DensePhaseShape(shape), 1000), 0);

  ModelSpec spec = SmallLory();
  spec.mutable_feed_forward()->mutable_lory()->set_dense_fraction(-1);
  EXPECT_EQ(DenseStepCount(*ResolveModelShape(spec), 1000), 0);
}

TEST(ParameterShapes, AreNamedAsInHuggingFaceAndOnce) {
  ModelSpec spec = SmallLory();
  spec.mutable_feed_forward()->mutable_lory()->set_first_segment(
      LoryFeedForward::LEARNED);
  std::set<std::string> names;
  for (const ParameterShape& parameter :
       ParameterShapes(*ResolveModelShape(spec))) {
    EXPECT_TRUE(names.insert(parameter.name).second) << parameter.name;
    EXPECT_EQ(parameter.decays, parameter.sizes.size() > 1) << parameter.name;
  }
  EXPECT_EQ(names.size(), 3 + 2 * 11);
  EXPECT_THAT(names,
              ::testing::IsSupersetOf(
                  {"model.embed_tokens.weight",
                   "model.layers.1.self_attn.o_proj.weight",
                   "model.layers.0.post_attention_layernorm.weight",
                   "model.layers.1.mlp.experts.down_proj.weight",
                   "model.layers.1.mlp.first_segment", "lm_head.weight"}));
}

TEST(ResolveOptimizer, FillsInDefaultsAndReadsNegativesAsNone) {
  OptimizerSpec spec;
  spec.set_peak_learning_rate(1e-3);
  EXPECT_EQ(ResolveOptimizer(spec)->weight_decay, 0.1);
  EXPECT_EQ(ResolveOptimizer(spec)->clip_norm, 1);
  EXPECT_EQ(ResolveOptimizer(spec)->beta2, 0.95);
  spec.set_weight_decay(-1);
  spec.set_clip_norm(-1);
  EXPECT_EQ(ResolveOptimizer(spec)->weight_decay, 0);
  EXPECT_EQ(ResolveOptimizer(spec)->clip_norm, 0);
}

TEST(ResolveOptimizer, NamesTheFieldThatIsWrong) {
  OptimizerSpec spec;
  EXPECT_THAT(ValidateOptimizerSpec(spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("optimizer.peak_learning_rate: ")));
  spec.set_peak_learning_rate(1e-3);
  spec.set_beta2(1);
  EXPECT_THAT(ValidateOptimizerSpec(spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("optimizer.beta2: ")));
}

}  // namespace
}  // namespace lory::config
