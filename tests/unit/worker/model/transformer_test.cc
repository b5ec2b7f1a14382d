#include "worker/model/transformer.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/test_models.h"
#include "worker/model/merge_experts.h"

namespace lory::model {
namespace {

using ::lory::testing::LargestDifference;
using ::lory::testing::NearTensor;
using ::lory::testing::StatusIs;
using ::lory::v1::LoryFeedForward;
using ::testing::HasSubstr;

struct TransformerTest : ::testing::Test {
  TransformerTest() { at::manual_seed(7); }
};

at::Tensor Gradient(Transformer& model, absl::string_view name) {
  return model.parameters().Get(name).grad();
}

// Logits that move when token `position` changes: the first of them.
int64_t FirstMovedPosition(const Transformer& model, int64_t position) {
  at::NoGradGuard no_grad;
  const at::Tensor tokens = RandomTokens(1);
  at::Tensor changed = tokens.clone();
  changed[0][position] = (tokens[0][position] + 1) % kVocabulary;
  const at::Tensor moved_L =
      (model.Logits(changed) - model.Logits(tokens)).abs().amax(-1)[0] > 1e-6;
  for (int64_t i = 0; i < kLength; ++i) {
    if (moved_L[i].item<bool>()) return i;
  }
  return kLength;
}

TEST_F(TransformerTest, StrictPoliciesAreCausalEverywhere) {
  for (const auto& spec : {DenseSpec(), LorySpec(LoryFeedForward::UNIFORM),
                           LorySpec(LoryFeedForward::LEARNED)}) {
    const auto model = MakeModel(spec);
    for (int64_t position = 0; position < kLength; ++position) {
      EXPECT_EQ(FirstMovedPosition(*model, position), position)
          << spec.ShortDebugString();
    }
  }
}

TEST_F(TransformerTest, ThePapersPolicyLeaksInsideTheFirstSegmentOnly) {
  const auto model = MakeModel(LorySpec());
  for (int64_t position = 0; position < kLength; ++position) {
    EXPECT_EQ(FirstMovedPosition(*model, position),
              position < kSegment ? 0 : position);
  }
}

TEST_F(TransformerTest, LossIsTheCrossEntropyOfTheLogits) {
  for (const auto& spec : {DenseSpec(), LorySpec()}) {
    const auto model = MakeModel(spec);
    const at::Tensor tokens = RandomTokens(3);
    at::Tensor targets = RandomTokens(3);
    targets[1][5] = -1;
    const ForwardResult result = model->Forward(tokens, targets);
    const at::Tensor expected = at::cross_entropy_loss(
        model->Logits(tokens).flatten(0, 1),
        targets.flatten().masked_fill(targets.flatten() < 0, -100), {},
        at::Reduction::Sum);
    EXPECT_THAT(result.loss_sum, NearTensor(expected, 1e-6));
    EXPECT_EQ(result.token_count, 35);
  }
}

TEST_F(TransformerTest, TokenLossesAreTheCrossEntropyOfEveryPosition) {
  for (const auto& spec : {DenseSpec(), LorySpec()}) {
    const auto model = MakeModel(spec);
    const at::Tensor tokens = RandomTokens(3);
    at::Tensor targets = RandomTokens(3);
    targets[1][5] = -1;
    std::vector<at::Tensor> routing;
    const at::Tensor losses_BL =
        model->TokenLosses(tokens, targets, {}, &routing);
    EXPECT_FALSE(losses_BL.requires_grad());
    const at::Tensor expected =
        at::cross_entropy_loss(
            model->Logits(tokens).flatten(0, 1).to(at::kDouble),
            targets.flatten().masked_fill(targets.flatten() < 0, -100), {},
            at::Reduction::None)
            .view_as(targets);
    EXPECT_THAT(losses_BL, NearTensor(expected.to(at::kFloat), 1e-5));
    EXPECT_EQ(losses_BL[1][5].item<float>(), 0);
    const ForwardResult all = model->Forward(tokens, targets);
    EXPECT_THAT(losses_BL.sum(), NearTensor(all.loss_sum, 1e-4));
    ASSERT_EQ(static_cast<int64_t>(routing.size()), all.routing.layer_count());
    for (size_t layer = 0; layer < routing.size(); ++layer) {
      RoutingStats stats(all.routing.layer_count(), routing[layer].size(1));
      stats.Record(static_cast<int64_t>(layer), routing[layer]);
      EXPECT_EQ(stats.MeanWeights(layer), all.routing.MeanWeights(layer));
    }
    EXPECT_THROW(model->TokenLosses(tokens, targets.narrow(1, 0, 3)),
                 c10::Error);
    targets[0][0] = kVocabulary;
    EXPECT_THROW(model->TokenLosses(tokens, targets), c10::Error);
  }
}

// The first position whose loss moves when token `position` changes.
int64_t FirstMovedLoss(const Transformer& model, int64_t position,
                       const Pass& pass) {
  const at::Tensor tokens = RandomTokens(1);
  const at::Tensor targets = RandomTokens(1);
  at::Tensor changed = tokens.clone();
  changed[0][position] = (tokens[0][position] + 1) % kVocabulary;
  const at::Tensor moved_L = (model.TokenLosses(changed, targets, pass) -
                              model.TokenLosses(tokens, targets, pass))
                                 .abs()[0] > 1e-6;
  for (int64_t i = 0; i < kLength; ++i) {
    if (moved_L[i].item<bool>()) return i;
  }
  return kLength;
}

TEST_F(TransformerTest, WhatFollowsAPromptIsPredictedWithoutBeingSeen) {
  for (const auto& spec : LeakingSpecs()) {
    const auto model = MakeModel(spec);
    for (const int64_t prompt : {1, 3, 6}) {
      for (int64_t position = prompt; position < kLength; ++position) {
        EXPECT_EQ(FirstMovedLoss(*model, position, {.prompt_length = prompt}),
                  position)
            << spec.ShortDebugString();
      }
    }
    EXPECT_EQ(FirstMovedLoss(*model, 2, {}), 0) << spec.ShortDebugString();
  }
}

TEST_F(TransformerTest, OneSegmentRoutedByAPromptIsTheModelMergedForIt) {
  for (const auto policy :
       {LoryFeedForward::SELF_STOP_GRADIENT, LoryFeedForward::UNIFORM}) {
    const auto model = MakeModel(LorySpec(policy));
    const at::Tensor tokens = RandomTokens(1);
    const at::Tensor targets = RandomTokens(1);
    for (const int64_t prompt : {1, 5, 12}) {
      const int64_t* first = tokens.const_data_ptr<int64_t>();
      LORY_ASSERT_OK_AND_ASSIGN(const LayerRouting routing,
                                PromptRouting(*model, {first, first + prompt}));
      LORY_ASSERT_OK_AND_ASSIGN(const auto merged,
                                MergeExperts(*model, routing));
      EXPECT_THAT(
          model->TokenLosses(tokens, targets,
                             {.prompt_length = prompt, .one_segment = true}),
          NearTensor(merged->TokenLosses(tokens, targets), 1e-4));
    }
  }
}

TEST_F(TransformerTest, GradientsAddUpInTheFlatBuffer) {
  const auto model = MakeModel(LorySpec());
  const at::Tensor tokens = RandomTokens(2);
  const at::Tensor targets = RandomTokens(2);
  ParameterStore& store = model->parameters();
  model->Forward(tokens, targets).loss_sum.backward();
  const at::Tensor once = store.flat_gradients().clone();
  EXPECT_GT(once.abs().max().item<double>(), 0);
  model->Forward(tokens, targets).loss_sum.backward();
  EXPECT_THAT(store.flat_gradients(), NearTensor(once * 2, 1e-6));
  store.ZeroGradients();
  EXPECT_EQ(store.flat_gradients().abs().max().item<double>(), 0);
  for (const Parameter& parameter : store.parameters()) {
    EXPECT_TRUE(parameter.value.grad().is_alias_of(store.flat_gradients()));
  }
}

TEST_F(TransformerTest, ExpertsLearnFromTheFirstSegmentAndItsRouterDoesNot) {
  const auto model = MakeModel(LorySpec());
  const at::Tensor tokens = RandomTokens(1, kSegment);  // no second segment
  model->Forward(tokens, tokens).loss_sum.backward();
  EXPECT_GT(Gradient(*model, "model.layers.0.mlp.experts.gate_proj.weight")
                .abs()
                .amax({1, 2})
                .min()
                .item<double>(),
            0);
  EXPECT_EQ(Gradient(*model, "model.layers.0.mlp.router.weight")
                .abs()
                .max()
                .item<double>(),
            0);
}

TEST_F(TransformerTest, ALearnedFirstMixtureLearns) {
  const auto model = MakeModel(LorySpec(LoryFeedForward::LEARNED));
  model->Forward(RandomTokens(1), RandomTokens(1)).loss_sum.backward();
  EXPECT_GT(Gradient(*model, "model.layers.0.mlp.first_segment")
                .abs()
                .max()
                .item<double>(),
            0);
}

TEST_F(TransformerTest, AZeroRouterKeepsExpertsAlikeInTheirGradients) {
  const auto model = MakeModel(LorySpec());
  {
    at::NoGradGuard no_grad;
    for (const Parameter& parameter : model->parameters().parameters()) {
      if (absl::EndsWith(parameter.name, "router.weight")) {
        parameter.value.zero_();
      }
      if (absl::StrContains(parameter.name, ".experts.")) {
        parameter.value.copy_(parameter.value[0].clone());
      }
    }
  }
  model->Forward(RandomTokens(2), RandomTokens(2)).loss_sum.backward();
  // Equal up to the rounding of a softmax over equal logits: not at all.
  for (const Parameter& parameter : model->parameters().parameters()) {
    if (absl::StrContains(parameter.name, ".experts.")) {
      const at::Tensor gradient = parameter.value.grad();
      EXPECT_EQ(LargestDifference(gradient, gradient[0].expand_as(gradient)), 0)
          << parameter.name;
    }
    if (absl::EndsWith(parameter.name, "router.weight")) {
      EXPECT_LT(parameter.value.grad().abs().max().item<double>(), 1e-4);
    }
  }
}

TEST_F(TransformerTest, RoutingStatisticsCountRoutedSegments) {
  const at::Tensor tokens = RandomTokens(2);
  const ForwardResult paper = MakeModel(LorySpec())->Forward(tokens, tokens);
  EXPECT_EQ(paper.routing.layer_count(), 2);
  EXPECT_EQ(paper.routing.DecisionCount(0), 6);
  const ForwardResult strict =
      MakeModel(LorySpec(LoryFeedForward::UNIFORM))->Forward(tokens, tokens);
  EXPECT_EQ(strict.routing.DecisionCount(1), 4);
  EXPECT_TRUE(MakeModel(DenseSpec())->Forward(tokens, tokens).routing.empty());
}

TEST_F(TransformerTest, APartOfASegmentAtTheEndIsRoutedLikeAWholeOne) {
  const auto model = MakeModel(LorySpec());
  at::NoGradGuard no_grad;
  const at::Tensor tokens = RandomTokens(2);
  EXPECT_THAT(model->Logits(tokens.narrow(1, 0, 10).contiguous()),
              NearTensor(model->Logits(tokens).narrow(1, 0, 10), 1e-5));
}

TEST_F(TransformerTest, TheDensePhaseOfALoryModelIsADenseModel) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto phase, Transformer::Create(LorySpec(), /*dense_phase=*/true,
                                            /*seed=*/1));
  EXPECT_TRUE(phase->is_dense_phase());
  EXPECT_TRUE(phase->parameters().flat_values().equal(
      MakeModel(DenseSpec())->parameters().flat_values()));
}

TEST_F(TransformerTest, MistakesAreNamed) {
  lory::v1::ModelSpec spec = DenseSpec();
  spec.set_head_count(3);
  EXPECT_THAT(
      Transformer::Create(spec, false, 1),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("model.width: ")));
  const auto model = MakeModel(DenseSpec());
  EXPECT_THROW(model->Logits(RandomTokens(1, kLength + 1)), c10::Error);
}

}  // namespace
}  // namespace lory::model
