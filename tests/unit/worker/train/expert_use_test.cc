#include "worker/train/expert_use.h"

#include <ATen/ops/zeros.h>

#include <vector>

#include "gtest/gtest.h"

namespace lory::train {
namespace {

using ::lory::model::RoutingStats;

constexpr int64_t kExperts = 4;

// A step of so many decisions in each of two layers, all for one expert.
RoutingStats StepFor(int64_t expert, int64_t decisions = 1) {
  RoutingStats stats(2, kExperts);
  const at::Tensor routing_RE = at::zeros({decisions, kExperts});
  routing_RE.select(1, expert).fill_(1);
  for (int64_t layer = 0; layer < 2; ++layer) stats.Record(layer, routing_RE);
  return stats;
}

TEST(ExpertUse, CountsWhatAnyStepOfTheWindowMadeUseOf) {
  ExpertUse use;
  use.Add(StepFor(0));
  EXPECT_DOUBLE_EQ(use.ActiveShare(1), 0.25);
  use.Add(StepFor(2));
  use.Add(StepFor(2));
  EXPECT_DOUBLE_EQ(use.ActiveShare(0), 0.5);
  EXPECT_DOUBLE_EQ(use.ActiveShare(1), 0.5);
}

TEST(ExpertUse, NoExpertIsActiveWhereAllGetTheSame) {
  RoutingStats stats(1, kExperts);
  stats.Record(0, at::zeros({8, kExperts}).fill_(0.25));
  ExpertUse use;
  use.Add(stats);
  EXPECT_DOUBLE_EQ(use.ActiveShare(0), 0);
}

TEST(ExpertUse, LargeStepsAreForgottenAfterTen) {
  const auto large = static_cast<int64_t>(ExpertUse::kDecisions);
  ExpertUse use;
  use.Add(StepFor(0, large));
  for (int64_t i = 1; i < ExpertUse::kSteps; ++i) use.Add(StepFor(1, large));
  EXPECT_DOUBLE_EQ(use.ActiveShare(0), 0.5);
  use.Add(StepFor(1, large));
  EXPECT_DOUBLE_EQ(use.ActiveShare(0), 0.25);
}

TEST(ExpertUse, SmallStepsAreForgottenWhenTheOthersAreEnough) {
  const auto hundredth = static_cast<int64_t>(ExpertUse::kDecisions) / 100;
  ExpertUse use;
  use.Add(StepFor(0, hundredth));
  for (int i = 1; i < 100; ++i) use.Add(StepFor(1, hundredth));
  EXPECT_DOUBLE_EQ(use.ActiveShare(0), 0.5);
  use.Add(StepFor(1, hundredth));
  EXPECT_DOUBLE_EQ(use.ActiveShare(0), 0.25);
}

TEST(ExpertUse, ExpertsAfterADensePhaseBeginAnew) {
  ExpertUse use;
  use.Add(StepFor(0));
  use.Add(RoutingStats());
  use.Add(StepFor(3));
  EXPECT_DOUBLE_EQ(use.ActiveShare(0), 0.25);
}

}  // namespace
}  // namespace lory::train
