#include "worker/model/soft_moe_feed_forward.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/variant_fixture.h"

namespace lory::model {
namespace {

using ::lory::testing::NearTensor;

lory::v1::FeedForwardSpec Spec(int32_t experts = 3, int32_t slots = 2) {
  lory::v1::FeedForwardSpec spec;
  auto& options = *spec.mutable_soft_moe();
  options.set_expert_count(experts);
  options.set_slots_per_expert(slots);
  options.set_allow_noncausal(true);
  return spec;
}

// Algorithm 1 a sequence and a slot at a time.
at::Tensor Loop(const Variant& variant) {
  const at::Tensor slots_EPD = variant.Get(lory::config::kSlots);
  const auto normed = [](const at::Tensor& v) {
    return v / (v.square().sum(-1, true) + 1e-6).sqrt();
  };
  std::vector<at::Tensor> sequences;
  for (const at::Tensor& tokens_LD : variant.hidden_BLD.unbind(0)) {
    at::Tensor total_L;  // of exponentials
    at::Tensor sum_LD = at::zeros_like(tokens_LD.detach());
    for (int64_t e = 0; e < slots_EPD.size(0); ++e) {
      for (int64_t p = 0; p < slots_EPD.size(1); ++p) {
        const at::Tensor slot_D =
            normed(slots_EPD[e][p]) * variant.Get(lory::config::kSlotScale);
        const at::Tensor exp_L = (normed(tokens_LD) * slot_D).sum(-1).exp();
        const at::Tensor mixed_D =
            (tokens_LD * (exp_L / exp_L.sum()).unsqueeze(-1)).sum(0);
        const at::Tensor out_D = variant.Expert(e, mixed_D.unsqueeze(0))[0];
        sum_LD = sum_LD + exp_L.unsqueeze(-1) * out_D;
        total_L = total_L.defined() ? total_L + exp_L : exp_L;
      }
    }
    sequences.push_back(sum_LD / total_L.unsqueeze(-1));
  }
  return at::stack(sequences);
}

TEST(SoftMoe, IsTheAlgorithmOfThePaper) {
  for (const auto& spec : {Spec(), Spec(1, 1), Spec(4, 3)}) {
    const Variant variant(spec);
    EXPECT_THAT(variant.Out(kTrainingPass), NearTensor(Loop(variant), 1e-12));
    EXPECT_TRUE(variant.Out(kInferencePass).equal(variant.Out(kTrainingPass)));
  }
}

TEST(SoftMoe, GradientsMatchCentralDifferences) {
  Variant(Spec()).ExpectGradientsMatchDifferences(kTrainingPass);
}

TEST(SoftMoe, EqualTokensGoThroughTheMeanOfAllSlots) {
  // Dispatch and combine are then even, whatever the slots: with equal experts
  // the dense feed-forward.
  Variant variant(Spec());
  variant.MakeExpertsEqual();
  at::NoGradGuard no_grad;
  variant.hidden_BLD = variant.hidden_BLD.narrow(1, 0, 1)
                           .expand({-1, Variant::kTokens, -1})
                           .contiguous();
  EXPECT_THAT(variant.Out(kInferencePass),
              NearTensor(variant.Expert(0, variant.hidden_BLD), 1e-12));
}

TEST(SoftMoe, EveryTokenMovesEveryPositionOfItsSequence) {
  const Variant variant(Spec());
  for (int64_t position = 0; position < Variant::kTokens; ++position) {
    EXPECT_TRUE(variant.Moved(position, kInferencePass)[0].all().item<bool>());
    EXPECT_EQ(variant.FirstMoved(position, kInferencePass), 0);
  }
}

TEST(SoftMoe, BehindAPromptTokensMoveNoneButThemselves) {
  const Variant variant(Spec());
  const Pass pass = {.prompt_length = 5};
  for (int64_t position = 0; position < Variant::kTokens; ++position) {
    const at::Tensor moved_L = variant.Moved(position, pass)[0];
    if (position < 5) {
      EXPECT_TRUE(moved_L.all().item<bool>()) << position;
    } else {
      EXPECT_EQ(variant.FirstMoved(position, pass), position);
      EXPECT_EQ(moved_L.sum().item<int64_t>(), 1);
    }
  }
}

TEST(SoftMoe, APromptReadsAsIfNothingFollowedIt) {
  Variant variant(Spec());
  const at::Tensor whole_BLD = variant.Out({.prompt_length = 5});
  variant.hidden_BLD = variant.hidden_BLD.narrow(1, 0, 5);
  EXPECT_THAT(whole_BLD.narrow(1, 0, 5),
              NearTensor(variant.Out(kInferencePass), 1e-12));
}

TEST(SoftMoe, StatisticsAreWhatEachTokenGetsFromEachExpert) {
  const Variant variant(Spec(4, 3));
  const at::Tensor routing_RE =
      variant.layer->Forward(variant.hidden_BLD, kTrainingPass).routing_RE;
  EXPECT_EQ(routing_RE.sizes(), (std::vector<int64_t>{24, 4}));
  EXPECT_THAT(routing_RE.sum(-1),
              NearTensor(at::ones({24}, at::kDouble), 1e-12));
}

}  // namespace
}  // namespace lory::model
