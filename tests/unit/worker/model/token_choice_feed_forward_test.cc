#include "worker/model/token_choice_feed_forward.h"

#include <ATen/ops/logsumexp.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>

#include "tests/support/status_matchers.h"
#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/test_models.h"
#include "tests/unit/worker/model/variant_fixture.h"
#include "worker/model/upcycle.h"

namespace lory::model {
namespace {

using ::lory::testing::NearTensor;
using TokenChoice = ::lory::v1::TokenChoiceFeedForward;

lory::v1::FeedForwardSpec Spec(int32_t experts, int32_t top_k) {
  lory::v1::FeedForwardSpec spec;
  TokenChoice& options = *spec.mutable_token_choice();
  options.set_expert_count(experts);
  options.set_top_k(top_k);
  options.set_balance_coefficient(0.5);
  options.set_z_loss_coefficient(0.25);
  return spec;
}

at::Tensor Logits(const Variant& variant) {
  return at::linear(variant.hidden_BLD.flatten(0, 1),
                    variant.Get(lory::config::kRouter));
}

// All experts on all tokens; those that a token did not choose count nothing.
at::Tensor DenseLoop(const Variant& variant, int64_t top_k, bool renormalise) {
  const at::Tensor rows_RD = variant.hidden_BLD.flatten(0, 1);
  const at::Tensor probability_RE = at::softmax(Logits(variant), -1);
  const auto [best_RK, index_RK] = at::topk(probability_RE, top_k);
  at::Tensor out_RD = at::zeros(rows_RD.sizes(), at::kDouble);
  for (int64_t e = 0; e < probability_RE.size(1); ++e) {
    const at::Tensor weight_R = (best_RK * (index_RK == e)).sum(-1);
    out_RD = out_RD + weight_R.unsqueeze(-1) * variant.Expert(e, rows_RD);
  }
  if (renormalise) out_RD = out_RD / best_RK.sum(-1, true);
  return out_RD.view(variant.hidden_BLD.sizes());
}

TEST(TokenChoice, IsTheWeightedSumOfTheChosenExperts) {
  for (const int32_t top_k : {1, 2, 3, 5}) {
    auto spec = Spec(5, top_k);
    spec.mutable_token_choice()->set_weights(TokenChoice::RENORMALISED);
    const Variant mixtral(spec);
    EXPECT_THAT(mixtral.Out(kTrainingPass),
                NearTensor(DenseLoop(mixtral, top_k, true), 1e-12));
    EXPECT_TRUE(mixtral.Out(kInferencePass).equal(mixtral.Out(kTrainingPass)));
    spec.mutable_token_choice()->set_weights(TokenChoice::PROBABILITY);
    const Variant probability(spec);
    EXPECT_THAT(probability.Out(kTrainingPass),
                NearTensor(DenseLoop(probability, top_k, false), 1e-12));
  }
}

TEST(TokenChoice, ItsGradientsAreThoseOfAllExpertsOnAllTokens) {
  auto spec = Spec(5, 2);
  spec.mutable_token_choice()->set_balance(TokenChoice::NONE);
  spec.mutable_token_choice()->set_z_loss_coefficient(0);
  const Variant sparse(spec), dense(spec);
  const at::Tensor weights = at::randn(sparse.hidden_BLD.sizes(), at::kDouble);
  (sparse.Out(kTrainingPass) * weights).sum().backward();
  (DenseLoop(dense, 2, true) * weights).sum().backward();
  EXPECT_THAT(sparse.hidden_BLD.grad(),
              NearTensor(dense.hidden_BLD.grad(), 1e-12));
  for (const auto name : {lory::config::kExpertGate, lory::config::kExpertDown,
                          lory::config::kRouter}) {
    EXPECT_THAT(sparse.Get(name).grad(),
                NearTensor(dense.Get(name).grad(), 1e-12))
        << name;
  }
}

TEST(TokenChoice, GradientsMatchCentralDifferences) {
  Variant(Spec(4, 2)).ExpectGradientsMatchDifferences(kTrainingPass);
  Variant(Spec(4, 1)).ExpectGradientsMatchDifferences(kTrainingPass);
  auto megatron = Spec(4, 4);
  megatron.mutable_token_choice()->set_balance(TokenChoice::MEGATRON);
  Variant(megatron).ExpectGradientsMatchDifferences(kTrainingPass);
}

TEST(TokenChoice, OneExpertIsTheDenseFeedForward) {
  const Variant variant(Spec(1, 1));
  EXPECT_THAT(variant.Out(kTrainingPass),
              NearTensor(variant.Expert(0, variant.hidden_BLD), 1e-12));
}

TEST(TokenChoice, EqualExpertsAreTheDenseFeedForwardAndTeachNoRouter) {
  auto spec = Spec(4, 2);
  spec.mutable_token_choice()->set_balance(TokenChoice::NONE);
  spec.mutable_token_choice()->set_z_loss_coefficient(0);
  const Variant variant(spec);
  variant.MakeExpertsEqual();
  const at::Tensor out = variant.Out(kTrainingPass);
  EXPECT_THAT(out, NearTensor(variant.Expert(0, variant.hidden_BLD), 1e-12));
  (out * at::randn(out.sizes(), at::kDouble)).sum().backward();
  EXPECT_LT(
      variant.Get(lory::config::kRouter).grad().abs().max().item<double>(),
      1e-12);
}

TEST(TokenChoice, ExpertsThatNobodyChoseGetAZeroGradient) {
  const Variant variant(Spec(3, 1));
  {
    at::NoGradGuard no_grad;
    variant.Get(lory::config::kRouter).zero_();  // a tie: expert 0 for all
  }
  variant.Out(kTrainingPass).sum().backward();
  const at::Tensor gradient = variant.Get(lory::config::kExpertUp).grad();
  EXPECT_TRUE(gradient[0].any().item<bool>());
  EXPECT_FALSE(gradient.narrow(0, 1, 2).any().item<bool>());
}

TEST(TokenChoice, ATokenMovesItselfAlone) {
  const Variant variant(Spec(4, 2));
  for (int64_t position = 0; position < Variant::kTokens; ++position) {
    const at::Tensor moved_BL = variant.Moved(position, kTrainingPass);
    EXPECT_EQ(moved_BL.sum().item<int64_t>(), 1);
    EXPECT_TRUE(moved_BL[0][position].item<bool>());
  }
}

TEST(TokenChoice, LossesAreThoseOfTheEquations) {
  const Variant variant(Spec(4, 2));
  const FeedForwardResult result =
      variant.layer->Forward(variant.hidden_BLD, kTrainingPass);
  const at::Tensor logits_RE = Logits(variant);
  const at::Tensor index_RK = std::get<1>(at::topk(logits_RE, 2));
  double switch_loss = 0;
  for (int64_t e = 0; e < 4; ++e) {
    switch_loss +=
        4 * (index_RK == e).sum().item<double>() /
        static_cast<double>(logits_RE.size(0)) *
        at::softmax(logits_RE, -1).select(1, e).mean().item<double>();
  }
  const double z_loss =
      at::logsumexp(logits_RE, -1).pow(2).mean().item<double>();
  EXPECT_NEAR(variant.layer->AuxiliaryLoss({&result.load, 1}).item<double>(),
              0.5 * switch_loss + 0.25 * z_loss, 1e-12);
  // Each token's row, for statistics.
  EXPECT_THAT(result.routing_RE.sum(-1),
              NearTensor(at::ones({24}, at::kDouble), 1e-12));
  EXPECT_EQ((result.routing_RE > 0).sum().item<int64_t>(), 48);
}

TEST(TokenChoice, TheBalanceLossIsTrainedAndReportedApart) {
  at::manual_seed(7);
  lory::v1::ModelSpec with = DenseSpec();
  *with.mutable_feed_forward() = Spec(4, 2);
  lory::v1::ModelSpec without = with;
  auto* off = without.mutable_feed_forward()->mutable_token_choice();
  off->set_balance(TokenChoice::NONE);
  off->set_z_loss_coefficient(0);
  const at::Tensor tokens = RandomTokens(2);
  const auto model = MakeModel(with);
  const ForwardResult loss = model->Forward(tokens, tokens, kTrainingPass);
  const ForwardResult plain =
      MakeModel(without)->Forward(tokens, tokens, kTrainingPass);
  EXPECT_TRUE(loss.loss_sum.equal(plain.loss_sum));
  EXPECT_FALSE(plain.auxiliary_sum.defined());
  ASSERT_TRUE(loss.auxiliary_sum.defined());
  EXPECT_GT(loss.auxiliary_sum.item<double>(), 0.5 * 2 * 24);
  EXPECT_NEAR(loss.TrainingLoss().item<double>(),
              loss.loss_sum.item<double>() + loss.auxiliary_sum.item<double>(),
              1e-3);
  // Not at inference; and per token, whatever the number of sequences.
  EXPECT_FALSE(model->Forward(tokens, tokens).auxiliary_sum.defined());
  const ForwardResult twice = model->Forward(
      tokens.repeat({2, 1}), tokens.repeat({2, 1}), kTrainingPass);
  EXPECT_NEAR(twice.auxiliary_sum.item<double>(),
              2 * loss.auxiliary_sum.item<double>(), 1e-3);
  EXPECT_EQ(loss.routing.DecisionCount(1), 24);
}

TEST(TokenChoice, DuplicatedExpertsComputeWhatTheDenseModelDid) {
  const auto dense = MakeModel(DenseSpec());
  lory::v1::ModelSpec spec = DenseSpec();
  *spec.mutable_feed_forward() = Spec(4, 2);
  LORY_ASSERT_OK_AND_ASSIGN(const auto experts,
                            UpcycleToExperts(*dense, spec, /*seed=*/5));
  const at::Tensor tokens = RandomTokens(3);
  EXPECT_THAT(experts->Logits(tokens), NearTensor(dense->Logits(tokens), 1e-5));
}

}  // namespace
}  // namespace lory::model
