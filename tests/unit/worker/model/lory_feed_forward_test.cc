#include "worker/model/lory_feed_forward.h"

#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/variant_fixture.h"

// The degenerate cases of the layer, its gradients and what it lets tokens see.
// Its merged weights are proven in worker/ops, its routing with segment_router.
namespace lory::model {
namespace {

using ::lory::testing::NearTensor;
using Options = ::lory::v1::LoryFeedForward;

constexpr int64_t kSegment = 4;
constexpr Options::FirstSegment kPolicies[] = {
    Options::SELF_STOP_GRADIENT, Options::UNIFORM, Options::LEARNED};

lory::v1::FeedForwardSpec Spec(Options::FirstSegment policy,
                               int32_t experts = 3,
                               int64_t segment = kSegment) {
  lory::v1::FeedForwardSpec spec;
  Options& options = *spec.mutable_lory();
  options.set_expert_count(experts);
  options.set_segment_length(static_cast<int32_t>(segment));
  options.set_first_segment(policy);
  return spec;
}

TEST(LoryFeedForward, GradientsMatchCentralDifferences) {
  // Under the paper's rule the first segment's router is cut from the gradient.
  Variant(Spec(Options::SELF_STOP_GRADIENT))
      .ExpectGradientsMatchDifferences(kTrainingPass, /*first=*/kSegment);
  for (const auto policy : {Options::UNIFORM, Options::LEARNED}) {
    Variant(Spec(policy)).ExpectGradientsMatchDifferences(kTrainingPass);
  }
}

TEST(LoryFeedForward, OneExpertOrEqualOnesAreTheDenseFeedForward) {
  for (const auto policy : kPolicies) {
    const Variant one(Spec(policy, 1));
    EXPECT_THAT(one.Out(kTrainingPass),
                NearTensor(one.Expert(0, one.hidden_BLD), 1e-12));
    const Variant equal(Spec(policy));
    equal.MakeExpertsEqual();
    EXPECT_THAT(equal.Out(kTrainingPass),
                NearTensor(equal.Expert(0, equal.hidden_BLD), 1e-12));
  }
}

TEST(LoryFeedForward, EqualExpertsTeachNoRouter) {
  const Variant variant(Spec(Options::SELF_STOP_GRADIENT));
  variant.MakeExpertsEqual();
  variant.Out(kTrainingPass).sum().backward();
  EXPECT_LT(
      variant.Get(lory::config::kRouter).grad().abs().max().item<double>(),
      1e-9);
}

TEST(LoryFeedForward, ADecidedRouterIsThatExpert) {
  const Variant variant(Spec(Options::LEARNED));
  at::NoGradGuard no_grad;
  // Every mean has a constant in its first place; expert 2 wants it.
  variant.hidden_BLD.select(2, 0).fill_(1);
  variant.Get(lory::config::kRouter).zero_();
  variant.Get(lory::config::kRouter)[2][0].fill_(200);
  variant.Get(lory::config::kFirstSegment).copy_(at::tensor({0., 0., 200.}));
  EXPECT_THAT(variant.Out(kInferencePass),
              NearTensor(variant.Expert(2, variant.hidden_BLD), 1e-12));
}

TEST(LoryFeedForward, PermutingExpertsAndRouterRowsChangesNothing) {
  for (const auto policy : kPolicies) {
    const Variant variant(Spec(policy));
    const at::Tensor before = variant.Out(kInferencePass).detach();
    at::NoGradGuard no_grad;
    const at::Tensor order = at::tensor({2, 0, 1}, at::kLong);
    for (const Parameter& parameter : variant.store->parameters()) {
      if (!absl::StrContains(parameter.name, ".mlp.")) continue;
      parameter.value.copy_(parameter.value.index_select(0, order));
    }
    EXPECT_THAT(variant.Out(kInferencePass), NearTensor(before, 1e-12));
  }
}

TEST(LoryFeedForward, OneSegmentIsOneMixtureThatTeachesNoRouter) {
  const Variant variant(Spec(Options::SELF_STOP_GRADIENT, 3, Variant::kTokens));
  const at::Tensor out_BLD = variant.Out(kTrainingPass);
  for (int64_t b = 0; b < Variant::kSequences; ++b) {
    const at::Tensor rows = variant.hidden_BLD[b];
    const at::Tensor weights_E = at::softmax(
        at::linear(rows.mean(0), variant.Get(lory::config::kRouter)), -1);
    const auto merged = [&](absl::string_view name) {
      return (variant.Get(name) * weights_E.view({3, 1, 1})).sum(0);
    };
    EXPECT_THAT(
        out_BLD[b],
        NearTensor(
            at::linear(
                at::silu(at::linear(rows, merged(lory::config::kExpertGate))) *
                    at::linear(rows, merged(lory::config::kExpertUp)),
                merged(lory::config::kExpertDown)),
            1e-12));
  }
  out_BLD.sum().backward();
  EXPECT_FALSE(variant.Get(lory::config::kRouter).grad().any().item<bool>());
}

TEST(LoryFeedForward, ATokenMovesItselfAndTheSegmentAfterItsOwn) {
  for (const auto policy : kPolicies) {
    const Variant variant(Spec(policy));
    for (int64_t position = 0; position < Variant::kTokens; ++position) {
      const at::Tensor moved_L = variant.Moved(position, kInferencePass)[0];
      const int64_t segment = position / kSegment;
      const bool leaks = policy == Options::SELF_STOP_GRADIENT && segment == 0;
      for (int64_t i = 0; i < Variant::kTokens; ++i) {
        EXPECT_EQ(moved_L[i].item<bool>(), i == position ||
                                               i / kSegment == segment + 1 ||
                                               (leaks && i < kSegment))
            << Options::FirstSegment_Name(policy) << " " << position << " "
            << i;
      }
      variant.FirstMoved(position, kInferencePass);  // nor the other sequence
    }
  }
}

}  // namespace
}  // namespace lory::model
