// Comparison and task arithmetic.

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/unit/tools/model/models.h"
#include "tools/model/diff.h"
#include "tools/model/task_arithmetic.h"

namespace lory::surgery {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::LorySpec;
using ::lory::model::MakeModel;
using ::lory::model::Transformer;
using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

at::Tensor Values(Transformer& model, const std::string& name) {
  return model.parameters().Get(name).detach();
}

TEST(Diff, EqualModelsDoNotDiffer) {
  const auto a = MakeModel(LorySpec());
  const auto b = MakeModel(LorySpec());
  Values(*a, "lm_head.weight")[0][0] = std::nanf("");
  Values(*b, "lm_head.weight")[0][0] = std::nanf("");
  LORY_ASSERT_OK_AND_ASSIGN(const ModelDifference difference, Compare(*a, *b));
  EXPECT_TRUE(difference.empty());
  EXPECT_THAT(ToText(difference), HasSubstr("23 of 23 tensors"));
  EXPECT_EQ(nlohmann::json::parse(ToJson(difference))["equal"], true);
}

TEST(Diff, TheLargestRelativeDifferenceComesFirst) {
  const auto a = MakeModel(DenseSpec());
  const auto b = MakeModel(DenseSpec());
  Values(*a, "model.norm.weight").zero_();
  Values(*a, "model.norm.weight")[0] = 4;
  Values(*b, "model.norm.weight").zero_();
  Values(*b, "model.norm.weight")[0] = 5;
  Values(*b, "lm_head.weight").mul_(1.001);
  LORY_ASSERT_OK_AND_ASSIGN(const ModelDifference difference, Compare(*a, *b));
  EXPECT_FALSE(difference.empty());
  EXPECT_EQ(difference.tensors[0].name, "model.norm.weight");
  EXPECT_DOUBLE_EQ(difference.tensors[0].relative, 0.2);
  EXPECT_DOUBLE_EQ(difference.tensors[0].largest, 1);
  EXPECT_EQ(difference.tensors[0].differing_count, 1);
  EXPECT_EQ(difference.tensors[1].name, "lm_head.weight");
  EXPECT_NEAR(difference.tensors[1].relative, 0.001, 1e-5);
  EXPECT_EQ(difference.tensors[2].differing_count, 0);
}

TEST(Diff, WhatIsNotANumberIsTheLargestDifference) {
  const auto a = MakeModel(DenseSpec());
  const auto b = MakeModel(DenseSpec());
  Values(*a, "lm_head.weight").mul_(2);
  Values(*b, "model.norm.weight")[3] = std::nanf("");
  LORY_ASSERT_OK_AND_ASSIGN(const ModelDifference difference, Compare(*a, *b));
  EXPECT_EQ(difference.tensors[0].name, "model.norm.weight");
  EXPECT_TRUE(std::isnan(difference.tensors[0].relative));
  EXPECT_THAT(ToJson(difference), HasSubstr("\"relative\": null"));
}

TEST(Diff, OtherTensorsAreListed) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const ModelDifference difference,
      Compare(*MakeModel(LorySpec()), *MakeModel(DenseSpec())));
  EXPECT_FALSE(difference.empty());
  const std::string text = ToText(difference);
  EXPECT_THAT(text,
              HasSubstr("only the first has model.layers.0.mlp.router.weight"));
  EXPECT_THAT(
      text, HasSubstr("only the second has model.layers.1.mlp.up_proj.weight"));
}

at::Tensor Flat(const Transformer& model) {
  return model.parameters().flat_values();
}

TEST(TaskArithmetic, AddsAndSubtractsDifferencesToTheBase) {
  const auto base = MakeModel(LorySpec(), 1);
  const auto b = MakeModel(LorySpec(), 2);
  const auto c = MakeModel(LorySpec(), 3);
  LORY_ASSERT_OK_AND_ASSIGN(const auto sum, TaskArithmetic::Start(*base));
  ASSERT_OK(sum->Add(*b, 0.25));
  ASSERT_OK(sum->Add(*c, -0.5));
  LORY_ASSERT_OK_AND_ASSIGN(const auto merged, sum->Finish());
  const at::Tensor expected = Flat(*base) + 0.25 * (Flat(*b) - Flat(*base)) -
                              0.5 * (Flat(*c) - Flat(*base));
  EXPECT_TRUE(Flat(*merged).allclose(expected, 1e-5, 1e-6));
  EXPECT_EQ(merged->spec().feed_forward().lory().dense_fraction(), -1);
}

TEST(TaskArithmetic, DegenerateSumsAreExact) {
  const auto base = MakeModel(DenseSpec(), 1);
  const auto tuned = MakeModel(DenseSpec(), 2);
  const auto merge = [&](std::vector<double> scales) {
    auto sum = *TaskArithmetic::Start(*base);
    for (const double scale : scales) EXPECT_OK(sum->Add(*tuned, scale));
    return *sum->Finish();
  };
  EXPECT_TRUE(SameWeights(*merge({}), *base));
  EXPECT_TRUE(SameWeights(*merge({0}), *base));
  EXPECT_TRUE(SameWeights(*merge({1}), *tuned));
  EXPECT_TRUE(SameWeights(*merge({0.5, 0.5}), *tuned));
  EXPECT_TRUE(SameWeights(*merge({0.75, -0.75}), *base));
}

TEST(TaskArithmetic, AnotherModelIsRefusedByItsFirstTensor) {
  const auto base = MakeModel(DenseSpec());
  LORY_ASSERT_OK_AND_ASSIGN(const auto sum, TaskArithmetic::Start(*base));
  EXPECT_THAT(sum->Add(*MakeModel(LorySpec()), 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no model.layers.0.mlp.gate_proj.weight")));
  auto wide = DenseSpec();
  wide.set_vocabulary_size(20);
  EXPECT_THAT(sum->Add(*MakeModel(wide), 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("model.embed_tokens.weight is [20, 16]")));
}

}  // namespace
}  // namespace lory::surgery
