#include "worker/model/routing_stats.h"

#include <algorithm>
#include <cmath>

#include "common/base/check.h"

namespace lory::model {
namespace {

// An expert counts as active in a segment that gives it more than this share.
double ActiveThreshold(int64_t expert_count) {
  return 2.0 / static_cast<double>(expert_count);
}

}  // namespace

RoutingStats::RoutingStats(int64_t layer_count, int64_t expert_count)
    : layer_count_(layer_count), expert_count_(expert_count) {
  const std::vector<double> zeros(expert_count);
  layers_.resize(layer_count, {zeros, zeros});
}

int64_t RoutingStats::FlatSize(int64_t layer_count, int64_t expert_count) {
  return layer_count * (2 * expert_count + 2);
}

RoutingStats RoutingStats::FromFlat(int64_t layer_count, int64_t expert_count,
                                    std::span<const float> numbers) {
  LORY_CHECK(static_cast<int64_t>(numbers.size()) ==
             FlatSize(layer_count, expert_count));
  RoutingStats stats(layer_count, expert_count);
  auto next = numbers.begin();
  for (LayerSums& layer : stats.layers_) {
    for (double& weight : layer.weights) weight = *next++;
    for (double& count : layer.active_segments) count = *next++;
    layer.entropy = *next++;
    layer.segments = *next++;
  }
  return stats;
}

std::vector<float> RoutingStats::Flatten() const {
  std::vector<float> numbers;
  numbers.reserve(FlatSize(layer_count_, expert_count_));
  for (const LayerSums& layer : layers_) {
    numbers.insert(numbers.end(), layer.weights.begin(), layer.weights.end());
    numbers.insert(numbers.end(), layer.active_segments.begin(),
                   layer.active_segments.end());
    numbers.push_back(static_cast<float>(layer.entropy));
    numbers.push_back(static_cast<float>(layer.segments));
  }
  return numbers;
}

void RoutingStats::Record(int64_t layer, const at::Tensor& routing_SE) {
  LORY_CHECK(layer >= 0 && layer < layer_count_);
  LORY_CHECK(routing_SE.dim() == 2 && routing_SE.size(1) == expert_count_);
  const at::Tensor routing =
      routing_SE.detach().to(at::kCPU, at::kDouble).contiguous();
  const double* weight = routing.const_data_ptr<double>();
  const double threshold = ActiveThreshold(expert_count_);
  LayerSums& sums = layers_[layer];
  for (int64_t segment = 0; segment < routing.size(0); ++segment) {
    for (int64_t expert = 0; expert < expert_count_; ++expert, ++weight) {
      sums.weights[expert] += *weight;
      if (*weight > threshold) sums.active_segments[expert] += 1;
      if (*weight > 0) sums.entropy -= *weight * std::log(*weight);
    }
    sums.segments += 1;
  }
}

void RoutingStats::Add(const RoutingStats& other) {
  if (other.empty()) return;
  if (empty()) *this = RoutingStats(other.layer_count_, other.expert_count_);
  LORY_CHECK(layer_count_ == other.layer_count_ &&
             expert_count_ == other.expert_count_);
  for (int64_t layer = 0; layer < layer_count_; ++layer) {
    LayerSums& sums = layers_[layer];
    const LayerSums& more = other.layers_[layer];
    for (int64_t expert = 0; expert < expert_count_; ++expert) {
      sums.weights[expert] += more.weights[expert];
      sums.active_segments[expert] += more.active_segments[expert];
    }
    sums.entropy += more.entropy;
    sums.segments += more.segments;
  }
}

double RoutingStats::SegmentCount(int64_t layer) const {
  return layers_[layer].segments;
}

std::vector<double> RoutingStats::MeanWeights(int64_t layer) const {
  std::vector<double> means = layers_[layer].weights;
  const double segments = std::max(1.0, layers_[layer].segments);
  for (double& mean : means) mean /= segments;
  return means;
}

double RoutingStats::MeanEntropy(int64_t layer) const {
  return layers_[layer].entropy / std::max(1.0, layers_[layer].segments);
}

std::vector<double> RoutingStats::ActiveFractions(int64_t layer) const {
  std::vector<double> fractions = layers_[layer].active_segments;
  const double segments = std::max(1.0, layers_[layer].segments);
  for (double& fraction : fractions) fraction /= segments;
  return fractions;
}

double RoutingStats::ActiveShare(int64_t layer) const {
  const std::vector<double>& counts = layers_[layer].active_segments;
  const auto active = std::count_if(counts.begin(), counts.end(),
                                    [](double count) { return count > 0; });
  return static_cast<double>(active) / static_cast<double>(expert_count_);
}

}  // namespace lory::model
