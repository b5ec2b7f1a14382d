#include "worker/train/progress_meter.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace lory::train {
namespace {

// Steps that medians and mean routing look back over.
constexpr size_t kSteps = 16;
constexpr absl::Duration kSpeedWindow = absl::Seconds(10);
constexpr size_t kSpeedSteps = 1000;

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle =
      values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

void ProgressMeter::Add(StepReport report) {
  if (!speed_start_.has_value()) {
    // The first step's own time is known, so speed is known after it.
    speed_start_ = report.end - absl::Seconds(report.times.total_seconds());
  }
  speed_.emplace_back(report.end, report.token_count);
  while (speed_.size() > 1 &&
         (speed_.size() > kSpeedSteps ||
          report.end - speed_.front().first > kSpeedWindow)) {
    speed_start_ = speed_.front().first;
    speed_.pop_front();
  }
  // Routing of the dense phase and of the experts do not add up.
  if (!steps_.empty() &&
      steps_.back().routing.layer_count() != report.routing.layer_count()) {
    steps_.clear();
  }
  expert_use_.Add(report.routing);
  steps_.push_back(std::move(report));
  if (steps_.size() > kSteps) steps_.pop_front();
}

void ProgressMeter::Interrupt() {
  speed_start_.reset();
  speed_.clear();
}

double ProgressMeter::tokens_per_second() const {
  if (speed_.empty()) return 0;
  int64_t tokens = 0;
  for (const auto& [end, count] : speed_) tokens += count;
  const double seconds =
      absl::ToDoubleSeconds(speed_.back().first - *speed_start_);
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

double ProgressMeter::micro_batch_seconds() const {
  std::vector<double> seconds;
  for (const StepReport& step : steps_) {
    if (step.micro_batches == 0) continue;
    seconds.push_back((step.times.data_seconds() +
                       step.times.forward_seconds() +
                       step.times.backward_seconds()) /
                      static_cast<double>(step.micro_batches));
  }
  return Median(std::move(seconds));
}

double ProgressMeter::step_seconds() const {
  std::vector<double> seconds;
  for (const StepReport& step : steps_) {
    seconds.push_back(step.times.total_seconds());
  }
  return Median(std::move(seconds));
}

lory::model::RoutingStats ProgressMeter::routing() const {
  lory::model::RoutingStats sum;
  for (const StepReport& step : steps_) sum.Add(step.routing);
  return sum;
}

}  // namespace lory::train
