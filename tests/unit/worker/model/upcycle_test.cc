#include "worker/model/upcycle.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/test_models.h"
#include "worker/optim/adam_w.h"

namespace lory::model {
namespace {

using ::lory::optim::AdamW;
using ::lory::testing::NearTensor;
using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

lory::v1::OptimizerSpec Optimizer() {
  lory::v1::OptimizerSpec spec;
  spec.set_peak_learning_rate(1e-2);
  return spec;
}

// A dense model after some updates, so that its moments are not zero.
struct UpcycleTest : ::testing::Test {
  UpcycleTest()
      : dense(MakeModel(DenseSpec())),
        dense_optimizer(Optimizer(), dense->parameters()) {
    at::manual_seed(7);
    for (int step = 0; step < 3; ++step) {
      Update(*dense, dense_optimizer, RandomTokens(2), RandomTokens(2));
    }
  }

  static void Update(Transformer& model, AdamW& optimizer,
                     const at::Tensor& tokens, const at::Tensor& targets) {
    model.parameters().ZeroGradients();
    const ForwardResult result = model.Forward(tokens, targets);
    result.loss_sum.backward();
    optimizer.Step(model.parameters(), 1e-2,
                   1.0 / static_cast<double>(result.token_count));
  }

  std::unique_ptr<Transformer> Upcycled(int32_t experts = 4) const {
    const auto spec =
        LorySpec(lory::v1::LoryFeedForward::SELF_STOP_GRADIENT, experts);
    auto model = UpcycleToExperts(*dense, spec, /*seed=*/5);
    LORY_CHECK(model.ok());
    return *std::move(model);
  }

  std::unique_ptr<Transformer> dense;
  AdamW dense_optimizer;
};

TEST_F(UpcycleTest, ExpertsComputeWhatTheDenseModelDid) {
  const auto lory = Upcycled();
  const at::Tensor tokens = RandomTokens(3);
  EXPECT_THAT(lory->Logits(tokens), NearTensor(dense->Logits(tokens), 1e-5));
  EXPECT_GT(lory->parameters()
                .Get("model.layers.1.mlp.router.weight")
                .abs()
                .max()
                .item<double>(),
            0);
}

TEST_F(UpcycleTest, EqualExpertsGiveTheRouterNoGradient) {
  const auto lory = Upcycled();
  lory->Forward(RandomTokens(3), RandomTokens(3)).loss_sum.backward();
  for (const Parameter& parameter : lory->parameters().parameters()) {
    if (!absl::EndsWith(parameter.name, "router.weight")) continue;
    EXPECT_LT(parameter.value.grad().abs().max().item<double>(), 1e-4);
  }
}

TEST_F(UpcycleTest, UnderUniformRoutingTheNextUpdateIsTheDenseOne) {
  for (const int32_t experts : {2, 8}) {
    const auto lory = Upcycled(experts);
    AdamW optimizer(Optimizer(), lory->parameters());
    ASSERT_OK(UpcycleMoments(dense->parameters(), dense_optimizer,
                             lory->parameters(), experts, optimizer));
    EXPECT_EQ(optimizer.step_count(), 3);
    {
      at::NoGradGuard no_grad;
      for (const Parameter& parameter : lory->parameters().parameters()) {
        if (absl::EndsWith(parameter.name, "router.weight")) {
          parameter.value.zero_();
        }
      }
    }
    // Another dense model of the same state, because this one is shared.
    const auto twin = MakeModel(DenseSpec());
    AdamW twin_optimizer(Optimizer(), twin->parameters());
    {
      at::NoGradGuard no_grad;
      twin->parameters().flat_values().copy_(dense->parameters().flat_values());
      twin_optimizer.first_moment().copy_(dense_optimizer.first_moment());
      twin_optimizer.second_moment().copy_(dense_optimizer.second_moment());
      twin_optimizer.set_step_count(3);
    }
    const at::Tensor tokens = RandomTokens(2);
    const at::Tensor targets = RandomTokens(2);
    Update(*twin, twin_optimizer, tokens, targets);
    Update(*lory, optimizer, tokens, targets);
    const auto moved = [](const ParameterStore& store, const char* name) {
      return store.Get(name).detach();
    };
    const at::Tensor expected =
        moved(twin->parameters(), "model.layers.0.mlp.gate_proj.weight");
    const at::Tensor experts_EFD = moved(
        lory->parameters(), "model.layers.0.mlp.experts.gate_proj.weight");
    // The step is about 1e-2 a number; epsilon and rounding are far below.
    EXPECT_THAT(experts_EFD, NearTensor(expected.expand_as(experts_EFD), 2e-5));
    EXPECT_THAT(lory->Logits(tokens), NearTensor(twin->Logits(tokens), 1e-3));
  }
}

TEST_F(UpcycleTest, RoutersStartWithoutMoments) {
  const auto lory = Upcycled();
  AdamW optimizer(Optimizer(), lory->parameters());
  optimizer.first_moment().fill_(1);
  ASSERT_OK(UpcycleMoments(dense->parameters(), dense_optimizer,
                           lory->parameters(), 4, optimizer));
  const Parameter* router =
      lory->parameters().Find("model.layers.0.mlp.router.weight");
  EXPECT_EQ(ParameterStore::ViewOf(optimizer.first_moment(), *router)
                .abs()
                .max()
                .item<double>(),
            0);
}

TEST_F(UpcycleTest, RandomRoutersPullExpertsApart) {
  const auto lory = Upcycled();
  AdamW optimizer(Optimizer(), lory->parameters());
  ASSERT_OK(UpcycleMoments(dense->parameters(), dense_optimizer,
                           lory->parameters(), 4, optimizer));
  for (int step = 0; step < 3; ++step) {
    Update(*lory, optimizer, RandomTokens(2), RandomTokens(2));
  }
  const at::Tensor experts =
      lory->parameters().Get("model.layers.0.mlp.experts.up_proj.weight");
  EXPECT_GT(lory::testing::LargestDifference(experts[0], experts[1]), 1e-4);
}

TEST_F(UpcycleTest, AnotherShapeIsRefusedWithTheFieldThatDiffers) {
  lory::v1::ModelSpec spec = LorySpec();
  spec.set_feed_forward_width(32);
  EXPECT_THAT(UpcycleToExperts(*dense, spec, 5),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("feed_forward_width")));
  EXPECT_THAT(UpcycleToExperts(*dense, DenseSpec(), 5),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("only a model with experts")));
}

}  // namespace
}  // namespace lory::model
