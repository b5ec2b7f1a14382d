#include <ATen/Context.h>
#include <ATen/ops/arange.h>

#include <cmath>

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

}  // namespace
}  // namespace lory::model
