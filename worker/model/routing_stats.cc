#include "worker/model/routing_stats.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index.h>
#include <ATen/ops/xlogy.h>

#include <algorithm>
#include <numeric>

#include "common/base/check.h"

namespace lory::model {
namespace {

// An expert counts as active where it is given more than this share.
double ActiveThreshold(int64_t expert_count) {
  return 2.0 / static_cast<double>(expert_count);
}

// Adds a tensor of as many doubles.
void AddTo(std::vector<double>& sums, const at::Tensor& more) {
  const at::Tensor numbers = more.to(at::kCPU).contiguous();
  const double* next = numbers.const_data_ptr<double>();
  for (double& sum : sums) sum += *next++;
}

}  // namespace

RoutingStats::RoutingStats(int64_t layer_count, int64_t expert_count)
    : layer_count_(layer_count), expert_count_(expert_count) {
  const std::vector<double> zeros(expert_count);
  layers_.resize(layer_count, {zeros, zeros, zeros});
}

int64_t RoutingStats::FlatSize(int64_t layer_count, int64_t expert_count) {
  return layer_count * (3 * expert_count + 3);
}

RoutingStats RoutingStats::FromFlat(int64_t layer_count, int64_t expert_count,
                                    std::span<const float> numbers) {
  LORY_CHECK(static_cast<int64_t>(numbers.size()) ==
             FlatSize(layer_count, expert_count));
  RoutingStats stats(layer_count, expert_count);
  auto next = numbers.begin();
  for (LayerSums& layer : stats.layers_) {
    for (double& weight : layer.weights) weight = *next++;
    for (double& count : layer.active) count = *next++;
    for (double& count : layer.taken) count = *next++;
    layer.entropy = *next++;
    layer.decisions = *next++;
    layer.unrouted = *next++;
  }
  return stats;
}

std::vector<float> RoutingStats::Flatten() const {
  std::vector<float> numbers;
  numbers.reserve(FlatSize(layer_count_, expert_count_));
  for (const LayerSums& layer : layers_) {
    numbers.insert(numbers.end(), layer.weights.begin(), layer.weights.end());
    numbers.insert(numbers.end(), layer.active.begin(), layer.active.end());
    numbers.insert(numbers.end(), layer.taken.begin(), layer.taken.end());
    numbers.push_back(static_cast<float>(layer.entropy));
    numbers.push_back(static_cast<float>(layer.decisions));
    numbers.push_back(static_cast<float>(layer.unrouted));
  }
  return numbers;
}

void RoutingStats::Record(int64_t layer, const at::Tensor& routing_RE) {
  LORY_CHECK(layer >= 0 && layer < layer_count_);
  LORY_CHECK(routing_RE.dim() == 2 && routing_RE.size(1) == expert_count_);
  const at::Tensor all_RE = routing_RE.detach().to(at::kDouble);
  const at::Tensor routed_R = all_RE.sum(-1) > 0;
  const at::Tensor weights_RE = all_RE.index({routed_R});
  LayerSums& sums = layers_[layer];
  AddTo(sums.weights, weights_RE.sum(0));
  AddTo(sums.active,
        (weights_RE > ActiveThreshold(expert_count_)).sum(0).to(at::kDouble));
  AddTo(sums.taken, (weights_RE > 0).sum(0).to(at::kDouble));
  sums.entropy -= at::xlogy(weights_RE, weights_RE).sum().item<double>();
  sums.decisions += static_cast<double>(weights_RE.size(0));
  sums.unrouted += static_cast<double>(all_RE.size(0) - weights_RE.size(0));
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
      sums.active[expert] += more.active[expert];
      sums.taken[expert] += more.taken[expert];
    }
    sums.entropy += more.entropy;
    sums.decisions += more.decisions;
    sums.unrouted += more.unrouted;
  }
}

double RoutingStats::DecisionCount(int64_t layer) const {
  return layers_[layer].decisions;
}

std::vector<double> RoutingStats::MeanWeights(int64_t layer) const {
  std::vector<double> means = layers_[layer].weights;
  const double decisions = std::max(1.0, layers_[layer].decisions);
  for (double& mean : means) mean /= decisions;
  return means;
}

double RoutingStats::MeanEntropy(int64_t layer) const {
  return layers_[layer].entropy / std::max(1.0, layers_[layer].decisions);
}

std::vector<double> RoutingStats::ActiveFractions(int64_t layer) const {
  std::vector<double> fractions = layers_[layer].active;
  const double decisions = std::max(1.0, layers_[layer].decisions);
  for (double& fraction : fractions) fraction /= decisions;
  return fractions;
}

double RoutingStats::UnroutedShare(int64_t layer) const {
  const LayerSums& sums = layers_[layer];
  return sums.unrouted / std::max(1.0, sums.decisions + sums.unrouted);
}

double RoutingStats::LoadRatio(int64_t layer) const {
  const std::vector<double>& taken = layers_[layer].taken;
  const double all = std::accumulate(taken.begin(), taken.end(), 0.0);
  if (all == 0) return 0;
  return *std::max_element(taken.begin(), taken.end()) *
         static_cast<double>(expert_count_) / all;
}

double RoutingStats::ActiveShare(int64_t layer) const {
  const std::vector<double>& counts = layers_[layer].active;
  const auto active = std::count_if(counts.begin(), counts.end(),
                                    [](double count) { return count > 0; });
  return static_cast<double>(active) / static_cast<double>(expert_count_);
}

}  // namespace lory::model
