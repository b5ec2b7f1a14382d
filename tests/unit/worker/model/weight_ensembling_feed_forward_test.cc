#include "worker/model/weight_ensembling_feed_forward.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>

#include "tests/support/status_matchers.h"
#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/test_models.h"
#include "tests/unit/worker/model/variant_fixture.h"
#include "worker/ops/merged_feed_forward.h"

namespace lory::model {
namespace {

using ::lory::testing::NearTensor;
using Options = ::lory::v1::WeightEnsemblingFeedForward;

constexpr Options::Gate kGates[] = {Options::CONSTANT, Options::LINEAR,
                                    Options::TWO_LAYERS};

lory::v1::FeedForwardSpec Spec(Options::Gate gate, int32_t pool = 0) {
  lory::v1::FeedForwardSpec spec;
  Options& options = *spec.mutable_weight_ensembling();
  options.set_expert_count(3);
  options.set_gate(gate);
  options.set_pool_length(gate == Options::CONSTANT ? 0 : pool);
  options.set_allow_noncausal(true);
  return spec;
}

// A gate's output for every token, then their mean: as the paper reads.
at::Tensor Weights(const Variant& variant, Options::Gate gate, int64_t pool) {
  const at::Tensor bias_E = variant.Get(lory::config::kRouterBias);
  if (gate == Options::CONSTANT) {
    return bias_E.expand({Variant::kSequences, 3});
  }
  at::Tensor tokens = variant.hidden_BLD.narrow(1, 0, pool);
  if (gate == Options::TWO_LAYERS) {
    tokens =
        at::relu(at::linear(tokens, variant.Get(lory::config::kRouterHidden)) +
                 variant.Get(lory::config::kRouterHiddenBias));
  }
  return (at::linear(tokens, variant.Get(lory::config::kRouter)) + bias_E)
      .mean(1);
}

TEST(WeightEnsembling, IsTheBasePlusWeightedTaskVectors) {
  for (const Options::Gate gate : kGates) {
    for (const int32_t pool : {0, 5}) {
      const Variant variant(Spec(gate, pool));
      const at::Tensor weights_BE =
          Weights(variant, gate, pool == 0 ? Variant::kTokens : pool);
      for (int64_t b = 0; b < Variant::kSequences; ++b) {
        const auto sum = [&](absl::string_view name) {
          at::Tensor matrix = variant.Get(name)[0];
          for (int64_t e = 0; e < 3; ++e) {
            matrix = matrix + weights_BE[b][e] * variant.Get(name)[1 + e];
          }
          return matrix;
        };
        const at::Tensor rows = variant.hidden_BLD[b];
        const at::Tensor expected = at::linear(
            at::silu(at::linear(rows, sum(lory::config::kExpertGate))) *
                at::linear(rows, sum(lory::config::kExpertUp)),
            sum(lory::config::kExpertDown));
        EXPECT_THAT(variant.Out(kInferencePass)[b], NearTensor(expected, 1e-9));
      }
    }
  }
}

TEST(WeightEnsembling, GradientsMatchCentralDifferences) {
  for (const Options::Gate gate : kGates) {
    const Variant variant(Spec(gate, 5));
    {
      // Small enough for the sum's differences to have their digits.
      at::NoGradGuard no_grad;
      variant.Get(lory::config::kRouterBias).mul_(0.1);
      if (gate != Options::CONSTANT) {
        variant.Get(lory::config::kRouter).mul_(0.1);
      }
    }
    variant.ExpectGradientsMatchDifferences(kTrainingPass);
  }
}

TEST(WeightEnsembling, WithoutTaskVectorsOrWeightsItIsTheBase) {
  for (const bool vectors : {true, false}) {
    const Variant variant(Spec(Options::CONSTANT));
    {
      at::NoGradGuard no_grad;
      if (vectors) {
        variant.Get(lory::config::kRouterBias).zero_();
      } else {
        for (const auto name :
             {lory::config::kExpertGate, lory::config::kExpertUp,
              lory::config::kExpertDown}) {
          variant.Get(name).narrow(0, 1, 3).zero_();
        }
      }
    }
    EXPECT_THAT(variant.Out(kInferencePass),
                NearTensor(variant.Expert(0, variant.hidden_BLD), 1e-12));
  }
}

TEST(WeightEnsembling, BeginsAsTaskArithmeticWithTheInitialWeight) {
  lory::v1::ModelSpec spec = DenseSpec();
  *spec.mutable_feed_forward() = Spec(Options::TWO_LAYERS);
  spec.mutable_feed_forward()->mutable_weight_ensembling()->set_initial_weight(
      0.25);
  const auto model = MakeModel(spec);
  const auto get = [&](absl::string_view name) {
    return LayerParameter(model->parameters(), 1, name);
  };
  EXPECT_EQ(get(lory::config::kRouterBias).min().item<double>(), 0.25);
  EXPECT_EQ(get(lory::config::kRouterBias).max().item<double>(), 0.25);
  EXPECT_NEAR(get(lory::config::kRouter).std().item<double>(), 0.01, 0.002);
  EXPECT_EQ(get(lory::config::kExpertGate).size(0), 4);
}

TEST(WeightEnsembling, ATokenOfThePoolMovesEveryPositionAndAnotherItself) {
  for (const Options::Gate gate : kGates) {
    const Variant variant(Spec(gate, 5));
    for (int64_t position = 0; position < Variant::kTokens; ++position) {
      const bool pooled = gate != Options::CONSTANT && position < 5;
      const at::Tensor moved_L = variant.Moved(position, kInferencePass)[0];
      EXPECT_EQ(moved_L.sum().item<int64_t>(), pooled ? Variant::kTokens : 1);
      EXPECT_EQ(variant.FirstMoved(position, kInferencePass),
                pooled ? 0 : position);
    }
  }
}

TEST(WeightEnsembling, StatisticsAreSharesOfTaskVectors) {
  const Variant variant(Spec(Options::LINEAR));
  const auto result = variant.layer->Forward(variant.hidden_BLD, kTrainingPass);
  EXPECT_EQ(result.routing_RE.sizes(), (std::vector<int64_t>{2, 3}));
  EXPECT_THAT(result.routing_RE.sum(-1),
              NearTensor(at::ones({2}, at::kDouble), 1e-12));
}

}  // namespace
}  // namespace lory::model
