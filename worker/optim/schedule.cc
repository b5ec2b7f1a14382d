#include "worker/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/base/check.h"
#include "common/config/optimizer_defaults.h"

namespace lory::optim {
namespace {

int64_t WarmupSteps(double fraction, int64_t total_steps) {
  return std::max<int64_t>(
      1, std::llround(fraction * static_cast<double>(total_steps)));
}

}  // namespace

int64_t WarmupStepCount(const lory::v1::OptimizerSpec& spec,
                        int64_t total_steps) {
  return WarmupSteps(lory::config::ResolvedOptimizer(spec).warmup_fraction,
                     total_steps);
}

double LearningRate(const lory::v1::OptimizerSpec& spec, int64_t step,
                    int64_t total_steps) {
  const lory::config::OptimizerSettings settings =
      lory::config::ResolvedOptimizer(spec);
  const int64_t warmup = WarmupSteps(settings.warmup_fraction, total_steps);
  const double peak = settings.peak_learning_rate;
  if (step < warmup) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  }
  // From 0 in the last step of the climb to 1 in the last step of all.
  const auto descent =
      static_cast<double>(std::max<int64_t>(1, total_steps - warmup));
  const double progress =
      std::min(1.0, static_cast<double>(step + 1 - warmup) / descent);
  const double cosine = (1 + std::cos(std::numbers::pi * progress)) / 2;
  const double final_fraction = settings.final_fraction;
  return peak * (final_fraction + (1 - final_fraction) * cosine);
}

}  // namespace lory::optim
