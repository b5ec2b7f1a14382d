#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>

#include <cmath>
#include <memory>

#include "absl/strings/match.h"
#include "common/base/check.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/model/test_models.h"
#include "worker/model/upcycle.h"
#include "worker/optim/adam_w.h"
#include "worker/optim/gradient_norm.h"
#include "worker/optim/schedule.h"

namespace lory::model {
namespace {

using ::lory::optim::AdamW;

constexpr int64_t kSteps = 60;

lory::v1::OptimizerSpec Optimizer() {
  lory::v1::OptimizerSpec spec;
  spec.set_peak_learning_rate(2e-2);
  return spec;
}

// Counting up from a random start, modulo the vocabulary.
at::Tensor CountingTokens() {
  const at::Tensor start = at::randint(0, kVocabulary, {4, 1}, at::kLong);
  return (start + at::arange(kLength + 1)) % kVocabulary;
}

// One step as a trainer does it; the mean loss before it.
double TrainStep(Transformer& model, AdamW& optimizer, int64_t step) {
  const at::Tensor tokens = CountingTokens();
  model.parameters().ZeroGradients();
  const ForwardResult result = model.Forward(
      tokens.narrow(1, 0, kLength).contiguous(),
      tokens.narrow(1, 1, kLength).contiguous(),
      {.training = true, .noise_seed = static_cast<uint64_t>(step)});
  result.TrainingLoss().backward();
  const double share = 1.0 / static_cast<double>(result.token_count);
  const double norm =
      share * lory::optim::GradientNorm(model.parameters().flat_gradients());
  optimizer.Step(model.parameters(),
                 lory::optim::LearningRate(Optimizer(), step, kSteps),
                 share * lory::optim::ClipScale(norm, 1));
  return result.loss_sum.item<double>() * share;
}

TEST(Training, LossFallsThroughBothPhases) {
  at::manual_seed(7);
  LORY_ASSERT_OK_AND_ASSIGN(
      auto model, Transformer::Create(LorySpec(), /*dense_phase=*/true, 1));
  AdamW dense_optimizer(Optimizer(), model->parameters());
  const double first = TrainStep(*model, dense_optimizer, 0);
  double before = 0;
  for (int64_t step = 1; step < 20; ++step) {
    before = TrainStep(*model, dense_optimizer, step);
  }
  LORY_ASSERT_OK_AND_ASSIGN(auto lory, UpcycleToExperts(*model, LorySpec(), 2));
  AdamW optimizer(Optimizer(), lory->parameters());
  ASSERT_OK(lory::optim::UpcycleMoments(model->parameters(), dense_optimizer,
                                        lory->parameters(), 4, optimizer));
  const double after = TrainStep(*lory, optimizer, 20);
  double last = 0;
  for (int64_t step = 21; step < kSteps; ++step) {
    last = TrainStep(*lory, optimizer, step);
  }
  EXPECT_GT(first, std::log(kVocabulary) - 0.5);
  EXPECT_LT(after, 1.2 * before);  // no jump at the switch
  EXPECT_LT(last, 0.3);
  EXPECT_LT(last, before);
}

TEST(Training, TheSameSeedsGiveTheSameLosses) {
  double losses[2];
  for (double& loss : losses) {
    at::manual_seed(7);
    const auto model = MakeModel(LorySpec());
    AdamW optimizer(Optimizer(), model->parameters());
    for (int64_t step = 0; step < 5; ++step) {
      loss = TrainStep(*model, optimizer, step);
    }
  }
  EXPECT_EQ(losses[0], losses[1]);
}

// How far apart the experts of a model are: the largest distance of two, over
// the norm of the first; the mean of all stacks of experts.
double ExpertDistance(const Transformer& model) {
  at::NoGradGuard no_grad;
  double sum = 0;
  int count = 0;
  for (const Parameter& parameter : model.parameters().parameters()) {
    if (!absl::StrContains(parameter.name, ".mlp.experts.")) continue;
    const at::Tensor first = parameter.value[0];
    const at::Tensor apart =
        (parameter.value - first).flatten(1).square().sum(1).sqrt();
    sum += apart.max().item<double>() / first.norm().item<double>();
    ++count;
  }
  LORY_CHECK(count > 0);
  return sum / count;
}

// A model whose experts are copies of one dense feed-forward, as after the
// dense phase.
std::unique_ptr<Transformer> WithEqualExperts(double router_init_stddev) {
  lory::v1::ModelSpec spec = LorySpec();
  spec.mutable_feed_forward()->mutable_lory()->set_router_init_stddev(
      router_init_stddev);
  auto model = UpcycleToExperts(*MakeModel(DenseSpec()), spec, /*seed=*/5);
  LORY_CHECK(model.ok());
  return *std::move(model);
}

// The reason why the router must not be zero: equal weights give equal
// gradients, and nothing ever tells one expert from another.
TEST(Training, AZeroRouterKeepsTheExpertsAlikeForEver) {
  at::manual_seed(7);
  const auto model = WithEqualExperts(0);
  for (const Parameter& parameter : model->parameters().parameters()) {
    at::NoGradGuard no_grad;
    if (absl::EndsWith(parameter.name, "router.weight")) {
      at::Tensor(parameter.value).zero_();
    }
  }
  AdamW optimizer(Optimizer(), model->parameters());
  const double first = TrainStep(*model, optimizer, 0);
  double last = 0;
  for (int64_t step = 1; step < 20; ++step) {
    last = TrainStep(*model, optimizer, step);
  }
  EXPECT_LT(last, 0.9 * first) << "nothing was learnt";
  EXPECT_LT(ExpertDistance(*model), 1e-5);  // rounding, if anything
}

TEST(Training, TheDefaultRouterMakesTheExpertsDiffer) {
  at::manual_seed(7);
  const auto model = WithEqualExperts(0);  // 0: the default
  AdamW optimizer(Optimizer(), model->parameters());
  ASSERT_EQ(ExpertDistance(*model), 0);
  double before = 0;
  for (int64_t step = 0; step < 20; ++step) {
    TrainStep(*model, optimizer, step);
    if (step % 5 != 4) continue;
    const double distance = ExpertDistance(*model);
    EXPECT_GT(distance, before) << "after step " << step;
    before = distance;
  }
  EXPECT_GT(before, 1e-2);
}

}  // namespace
}  // namespace lory::model
