#include "worker/train/progress_meter.h"

#include "gtest/gtest.h"

namespace lory::train {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'000);

StepReport Step(int second, int64_t tokens, double seconds = 1) {
  StepReport report{.end = kStart + absl::Seconds(second),
                    .token_count = tokens,
                    .micro_batches = 2};
  report.times.set_total_seconds(seconds);
  report.times.set_forward_seconds(seconds / 2);
  return report;
}

TEST(ProgressMeter, KnowsItsSpeedAfterOneStep) {
  ProgressMeter meter;
  EXPECT_EQ(meter.tokens_per_second(), 0);
  meter.Add(Step(1, 100));
  EXPECT_DOUBLE_EQ(meter.tokens_per_second(), 100);
}

TEST(ProgressMeter, SpeedIsThatOfTheLastSeconds) {
  ProgressMeter meter;
  for (int second = 1; second <= 50; ++second) {
    meter.Add(Step(second, second <= 30 ? 100 : 300));
  }
  EXPECT_DOUBLE_EQ(meter.tokens_per_second(), 300);
}

TEST(ProgressMeter, AnInterruptionIsNotCountedAsSlowness) {
  ProgressMeter meter;
  meter.Add(Step(1, 100));
  meter.Interrupt();
  meter.Add(Step(61, 100));
  EXPECT_DOUBLE_EQ(meter.tokens_per_second(), 100);
}

TEST(ProgressMeter, OneSlowStepDoesNotMoveTheMedian) {
  ProgressMeter meter;
  for (int i = 0; i < 9; ++i) meter.Add(Step(i, 1, i == 4 ? 90 : 2));
  EXPECT_DOUBLE_EQ(meter.step_seconds(), 2);
  EXPECT_DOUBLE_EQ(meter.micro_batch_seconds(), 0.5);
}

}  // namespace
}  // namespace lory::train
