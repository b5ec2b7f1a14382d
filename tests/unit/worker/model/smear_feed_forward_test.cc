#include "worker/model/smear_feed_forward.h"

#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>

#include "tests/support/status_matchers.h"
#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/test_models.h"
#include "tests/unit/worker/model/variant_fixture.h"
#include "worker/model/upcycle.h"
#include "worker/ops/merged_feed_forward.h"

namespace lory::model {
namespace {

using ::lory::testing::LargestDifference;
using ::lory::testing::NearTensor;

lory::v1::FeedForwardSpec Spec(int32_t experts = 3, int32_t pool = 0) {
  lory::v1::FeedForwardSpec spec;
  auto& options = *spec.mutable_smear();
  options.set_expert_count(experts);
  options.set_pool_length(pool);
  options.set_expert_dropout(0.5);
  options.set_allow_noncausal(true);
  return spec;
}

// Layer norm as its definition reads.
at::Tensor Norm(const at::Tensor& rows, const at::Tensor& gain,
                const at::Tensor& bias) {
  const at::Tensor centred = rows - rows.mean(-1, /*keepdim=*/true);
  const at::Tensor variance = centred.square().mean(-1, /*keepdim=*/true);
  return centred / (variance + 1e-5).sqrt() * gain + bias;
}

at::Tensor Expected(const Variant& variant, int64_t pool) {
  const auto get = [&](absl::string_view name) { return variant.Get(name); };
  const at::Tensor mean_BD = variant.hidden_BLD.narrow(1, 0, pool).mean(1);
  const at::Tensor logits_BE = at::linear(
      Norm(mean_BD, get(lory::config::kRouterNormGain),
           get(lory::config::kRouterNormBias)),
      Norm(get(lory::config::kRouter), get(lory::config::kRouterRowGain),
           get(lory::config::kRouterRowBias)));
  return lory::ops::MergedFeedForwardReference(
      variant.hidden_BLD, at::softmax(logits_BE, -1).unsqueeze(1),
      get(lory::config::kExpertGate), get(lory::config::kExpertUp),
      get(lory::config::kExpertDown));
}

TEST(Smear, IsOneMixtureForEachSequence) {
  const Variant all(Spec());
  EXPECT_THAT(all.Out(kInferencePass), NearTensor(Expected(all, 12), 1e-12));
  const Variant pool(Spec(3, 5));
  EXPECT_THAT(pool.Out(kInferencePass), NearTensor(Expected(pool, 5), 1e-12));
}

TEST(Smear, GradientsMatchCentralDifferences) {
  for (const int32_t pool : {0, 5}) {
    auto spec = Spec(3, pool);
    spec.mutable_smear()->set_expert_dropout(0.2);
    const Variant variant(spec);
    {
      // Even weights, so that routers have a gradient to speak of.
      at::NoGradGuard no_grad;
      variant.Get(lory::config::kRouterRowGain).mul_(0.1);
    }
    variant.ExpectGradientsMatchDifferences(kTrainingPass);
    variant.ExpectGradientsMatchDifferences(kInferencePass);
    EXPECT_GT(
        variant.Get(lory::config::kRouter).grad().abs().max().item<double>(),
        0.1);
  }
}

TEST(Smear, TrainingLeavesExpertsOutAndScalesTheRestUp) {
  const Variant variant(Spec(3));
  {
    // Weights that are all far from zero, to tell what was dropped.
    at::NoGradGuard no_grad;
    variant.Get(lory::config::kRouterRowGain).mul_(0.1);
  }
  const auto routing = [&](const Pass& pass) {
    return variant.layer->Forward(variant.hidden_BLD, pass).routing_RE;
  };
  const at::Tensor whole_BE = routing(kInferencePass);
  const at::Tensor even_E = at::full({3}, 1.0 / 3, at::kDouble);
  int64_t dropped = 0, lost = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const at::Tensor some_BE = routing({.training = true, .noise_seed = seed});
    for (int64_t b = 0; b < Variant::kSequences; ++b) {
      if (LargestDifference(some_BE[b], even_E) < 1e-9) {
        ++lost;  // all three, and starts even
        continue;
      }
      const at::Tensor kept_E = (some_BE[b] > 1e-7).to(at::kDouble);
      dropped += 3 - kept_E.sum().item<int64_t>();
      const at::Tensor rest_E = whole_BE[b] * kept_E;
      EXPECT_THAT(some_BE[b], NearTensor(rest_E / rest_E.sum(), 1e-6));
    }
  }
  // Of 400 mixtures an eighth loses all; of 1200 weights half are dropped.
  EXPECT_NEAR(static_cast<double>(lost), 400 / 8.0, 25);
  EXPECT_NEAR(static_cast<double>(dropped + 3 * lost), 1200 / 2.0, 80);
}

TEST(Smear, TheSameNoiseSeedDropsTheSame) {
  const Variant variant(Spec(8));
  EXPECT_TRUE(variant.Out(kTrainingPass).equal(variant.Out(kTrainingPass)));
  EXPECT_FALSE(variant.Out(kTrainingPass)
                   .equal(variant.Out({.training = true, .noise_seed = 6})));
}

TEST(Smear, OneExpertOrEqualOnesAreTheDenseFeedForward) {
  const Variant one(Spec(1));
  EXPECT_THAT(one.Out(kTrainingPass),
              NearTensor(one.Expert(0, one.hidden_BLD), 1e-8));
  const Variant equal(Spec());
  equal.MakeExpertsEqual();
  EXPECT_THAT(equal.Out(kTrainingPass),
              NearTensor(equal.Expert(0, equal.hidden_BLD), 1e-8));
}

TEST(Smear, ATokenOfThePoolMovesEveryPositionAndAnotherItself) {
  const Variant all(Spec());
  const Variant pool(Spec(3, 5));
  for (int64_t position = 0; position < Variant::kTokens; ++position) {
    EXPECT_TRUE(all.Moved(position, kInferencePass)[0].all().item<bool>());
    EXPECT_EQ(pool.Moved(position, kInferencePass)[0].sum().item<int64_t>(),
              position < 5 ? Variant::kTokens : 1);
    EXPECT_EQ(pool.FirstMoved(position, kInferencePass),
              position < 5 ? 0 : position);
  }
}

TEST(Smear, DuplicatedExpertsComputeWhatTheDenseModelDid) {
  const auto dense = MakeModel(DenseSpec());
  lory::v1::ModelSpec spec = DenseSpec();
  *spec.mutable_feed_forward() = Spec(4);
  LORY_ASSERT_OK_AND_ASSIGN(const auto experts,
                            UpcycleToExperts(*dense, spec, /*seed=*/5));
  const at::Tensor tokens = RandomTokens(3);
  EXPECT_THAT(experts->Logits(tokens), NearTensor(dense->Logits(tokens), 1e-5));
  // The norms start as the spec says, not as zeros.
  EXPECT_EQ(experts->parameters()
                .Get("model.layers.1.mlp.router.norm.weight")
                .min()
                .item<double>(),
            1);
}

}  // namespace
}  // namespace lory::model
