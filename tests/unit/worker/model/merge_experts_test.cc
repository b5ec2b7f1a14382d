#include "worker/model/merge_experts.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <numeric>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/model/test_models.h"

namespace lory::model {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

std::vector<int64_t> Tokens(int64_t count) {
  const at::Tensor tokens = RandomTokens(1, count);
  const int64_t* first = tokens.const_data_ptr<int64_t>();
  return {first, first + count};
}

at::Tensor Logits(const Transformer& model, std::vector<int64_t> tokens) {
  at::NoGradGuard no_grad;
  return model.Logits(at::from_blob(
      tokens.data(), {1, static_cast<int64_t>(tokens.size())}, at::kLong));
}

double Distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// Layer by layer: the layers below are merged by the prompt before the next
// one is asked. Nothing of WithOneSegment, and no Lory kernel.
LayerRouting RoutingLayerByLayer(const Transformer& model,
                                 const std::vector<int64_t>& tokens) {
  at::NoGradGuard no_grad;
  LayerRouting routing = UniformRouting(model.shape());
  for (int64_t layer = 0; layer < model.shape().layer_count; ++layer) {
    auto dense = *MergeExperts(model, routing);
    // What the layer's feed-forward sees: nothing after its norm is left but
    // zeros,
    for (int64_t later = layer; later < model.shape().layer_count; ++later) {
      const std::string prefix = lory::config::LayerPrefix(later);
      const auto zero = [&](absl::string_view name) {
        dense->parameters().Get(prefix + std::string(name)).detach().zero_();
      };
      zero(lory::config::kDown);
      if (later > layer) zero(lory::config::kOutputProjection);
    }
    // the final norm is that norm, and the head shows what comes out.
    const std::string prefix = lory::config::LayerPrefix(layer);
    dense->parameters()
        .Get(lory::config::kFinalNormName)
        .detach()
        .copy_(model.parameters().Get(
            prefix + std::string(lory::config::kFeedForwardNorm)));
    const at::Tensor head =
        dense->parameters().Get(lory::config::kHeadName).detach();
    head.copy_(at::eye(head.size(0), head.size(1)));
    const at::Tensor seen =
        Logits(*dense, tokens)[0].narrow(1, 0, model.shape().width);
    const at::Tensor router =
        model.parameters().Get(prefix + std::string(lory::config::kRouter));
    const at::Tensor weights =
        at::softmax(at::matmul(router, seen.mean(0)), -1).to(at::kDouble);
    routing[layer].assign(weights.const_data_ptr<double>(),
                          weights.const_data_ptr<double>() + weights.numel());
  }
  return routing;
}

TEST(MergeExperts, APromptRoutesEachLayerByItsMeanWithThoseBelowMerged) {
  const auto model = MakeModel(LorySpec());
  for (const int64_t count : {1, 3, 5, 12}) {
    const std::vector<int64_t> prompt = Tokens(count);
    LORY_ASSERT_OK_AND_ASSIGN(const LayerRouting routing,
                              PromptRouting(*model, prompt));
    const LayerRouting expected = RoutingLayerByLayer(*model, prompt);
    for (size_t layer = 0; layer < expected.size(); ++layer) {
      for (size_t expert = 0; expert < expected[layer].size(); ++expert) {
        EXPECT_NEAR(routing[layer][expert], expected[layer][expert], 1e-5);
      }
    }
  }
}

TEST(MergeExperts, TheMergedModelIsTheLoryModelRoutedByThePrompt) {
  for (const auto policy : {lory::v1::LoryFeedForward::SELF_STOP_GRADIENT,
                            lory::v1::LoryFeedForward::UNIFORM,
                            lory::v1::LoryFeedForward::LEARNED}) {
    const auto model = MakeModel(LorySpec(policy));
    const std::vector<int64_t> prompt = Tokens(7);
    LORY_ASSERT_OK_AND_ASSIGN(const LayerRouting routing,
                              PromptRouting(*model, prompt));
    LORY_ASSERT_OK_AND_ASSIGN(const auto dense, MergeExperts(*model, routing));
    LORY_ASSERT_OK_AND_ASSIGN(const auto whole, WithOneSegment(*model));
    EXPECT_LT(Distance(Logits(*dense, prompt), Logits(*whole, prompt)), 1e-5);
  }
}

TEST(MergeExperts, APromptWithinASegmentIsRoutedAsInTraining) {
  const auto model = MakeModel(LorySpec());
  const std::vector<int64_t> prompt = Tokens(kSegment);
  LORY_ASSERT_OK_AND_ASSIGN(const LayerRouting routing,
                            PromptRouting(*model, prompt));
  LORY_ASSERT_OK_AND_ASSIGN(const auto dense, MergeExperts(*model, routing));
  EXPECT_LT(Distance(Logits(*dense, prompt), Logits(*model, prompt)), 1e-5);
}

TEST(MergeExperts, OneExpertIsTheDenseModelWhateverTheRouting) {
  const auto model = MakeModel(
      LorySpec(lory::v1::LoryFeedForward::SELF_STOP_GRADIENT, /*experts=*/1));
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto dense, MergeExperts(*model, UniformRouting(model->shape())));
  const std::vector<int64_t> tokens = Tokens(kLength);
  EXPECT_LT(Distance(Logits(*dense, tokens), Logits(*model, tokens)), 1e-5);
}

TEST(MergeExperts, AnAverageIsOverTheSegmentsOfAllSequences) {
  const auto model = MakeModel(LorySpec());
  const std::vector<int64_t> tokens = Tokens(2 * kLength);
  const std::vector<int64_t> first(tokens.begin(), tokens.begin() + kLength);
  const std::vector<int64_t> second(tokens.begin() + kLength, tokens.end());
  LORY_ASSERT_OK_AND_ASSIGN(const auto a, AverageRouting(*model, first));
  LORY_ASSERT_OK_AND_ASSIGN(const auto b, AverageRouting(*model, second));
  LORY_ASSERT_OK_AND_ASSIGN(const auto both, AverageRouting(*model, tokens));
  EXPECT_NEAR(both[1][2], (a[1][2] + b[1][2]) / 2, 1e-9);
  EXPECT_NEAR(std::accumulate(both[0].begin(), both[0].end(), 0.0), 1, 1e-6);
}

TEST(MergeExperts, WhatCannotBeRoutedIsRefused) {
  const auto refused = [](absl::string_view why) {
    return StatusIs(absl::StatusCode::kInvalidArgument,
                    HasSubstr(std::string(why)));
  };
  const auto dense = MakeModel(DenseSpec());
  EXPECT_THAT(PromptRouting(*dense, {1}), refused("is dense"));
  const auto model = MakeModel(LorySpec());
  EXPECT_THAT(PromptRouting(*model, {}), refused("empty"));
  EXPECT_THAT(PromptRouting(*model, Tokens(13)), refused("context is 12"));
  EXPECT_THAT(MergeExperts(*model, {{1, 0, 0, 0}}), refused("2 layers"));
  const auto uniform = MakeModel(LorySpec(lory::v1::LoryFeedForward::UNIFORM));
  EXPECT_THAT(AverageRouting(*uniform, {1, 2}), refused("too short"));
}

}  // namespace
}  // namespace lory::model
