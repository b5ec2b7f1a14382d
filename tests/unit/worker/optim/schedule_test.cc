#include "worker/optim/schedule.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "worker/optim/gradient_norm.h"

namespace lory::optim {
namespace {

lory::v1::OptimizerSpec Spec() {
  lory::v1::OptimizerSpec spec;
  spec.set_peak_learning_rate(1);
  spec.set_warmup_fraction(0.1);
  spec.set_final_fraction(0.2);
  return spec;
}

TEST(LearningRate, ClimbsToThePeakThenFollowsACosineToTheFinalShare) {
  struct Row {
    int64_t step;
    double rate;
  };
  // 100 steps: ten climb, ninety descend; 55 - 10 + ... is half way at 54.
  for (const Row& row : {Row{0, 0.1}, Row{4, 0.5}, Row{9, 1.0}, Row{54, 0.6},
                         Row{99, 0.2}, Row{1000, 0.2}}) {
    EXPECT_NEAR(LearningRate(Spec(), row.step, 100), row.rate, 1e-12)
        << "step " << row.step;
  }
}

TEST(LearningRate, NeverRisesAfterThePeak) {
  for (int64_t step = 10; step < 100; ++step) {
    EXPECT_LT(LearningRate(Spec(), step, 100),
              LearningRate(Spec(), step - 1, 100));
  }
}

TEST(LearningRate, ClimbsForOneStepAtLeast) {
  EXPECT_EQ(WarmupStepCount(Spec(), 3), 1);
  EXPECT_EQ(LearningRate(Spec(), 0, 1), 1);
}

TEST(LearningRate, DefaultsAreThePapers) {
  lory::v1::OptimizerSpec spec;
  spec.set_peak_learning_rate(2e-4);
  EXPECT_EQ(WarmupStepCount(spec, 1000), 50);
  EXPECT_NEAR(LearningRate(spec, 999, 1000), 2e-5, 1e-12);
}

TEST(GradientNorm, IsTheEuclideanNormOnAnyNumberOfThreads) {
  at::manual_seed(7);
  const at::Tensor flat = at::randn({300'001});
  const double expected =
      std::sqrt(flat.to(at::kDouble).square().sum().item<double>());
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const double alone = GradientNorm(flat);
  at::set_num_threads(3);
  EXPECT_EQ(GradientNorm(flat), alone);
  at::set_num_threads(before);
  EXPECT_NEAR(alone, expected, 1e-9 * expected);
}

TEST(GradientNorm, ShowsNumbersThatAreNotFinite) {
  at::Tensor flat = at::randn({1000});
  flat[7] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(GradientNorm(flat)));
  flat[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(GradientNorm(flat)));
}

TEST(ClipScale, BringsALargeNormDownAndLeavesASmallOne) {
  EXPECT_EQ(ClipScale(4, 1), 0.25);
  EXPECT_EQ(ClipScale(0.5, 1), 1);
  EXPECT_EQ(ClipScale(4, 0), 1);
}

}  // namespace
}  // namespace lory::optim
