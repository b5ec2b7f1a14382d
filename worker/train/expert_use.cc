#include "worker/train/expert_use.h"

#include <algorithm>

namespace lory::train {

void ExpertUse::Add(const lory::model::RoutingStats& step) {
  if (step.layer_count() != layer_count_ ||
      step.expert_count() != expert_count_) {
    *this = ExpertUse();
    layer_count_ = step.layer_count();
    expert_count_ = step.expert_count();
    last_active_.resize(layer_count_ * expert_count_);
  }
  if (step.empty()) return;
  ++step_;
  for (int64_t layer = 0; layer < layer_count_; ++layer) {
    const std::vector<double> fractions = step.ActiveFractions(layer);
    for (int64_t expert = 0; expert < expert_count_; ++expert) {
      if (fractions[expert] == 0) continue;
      last_active_[layer * expert_count_ + expert] = step_;
    }
  }
  // At least one, so that steps do not pile up where nothing is decided.
  steps_.push_back(std::max(1.0, step.DecisionCount(0)));
  decision_count_ += steps_.back();
  while (static_cast<int64_t>(steps_.size()) > kSteps &&
         decision_count_ - steps_.front() >= kDecisions) {
    decision_count_ -= steps_.front();
    steps_.pop_front();
  }
}

double ExpertUse::ActiveShare(int64_t layer) const {
  const int64_t before = step_ - static_cast<int64_t>(steps_.size());
  const auto first = last_active_.begin() + layer * expert_count_;
  const auto active =
      std::count_if(first, first + expert_count_,
                    [&](int64_t last) { return last > before; });
  return static_cast<double>(active) / static_cast<double>(expert_count_);
}

}  // namespace lory::train
