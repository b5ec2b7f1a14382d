#include "tools/model/eval/routing_meter.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "common/base/check.h"
#include "tools/model/eval/variant_facts.h"

namespace lory::eval {
namespace {

double SumOf(const at::Tensor& numbers) {
  return numbers.sum(at::kDouble).item<double>();
}

double MeanOf(double sum, int64_t count) {
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace

RoutingMeter::RoutingMeter(const lory::config::ModelShape& shape,
                           int64_t utilisation_window)
    : utilisation_window_(utilisation_window),
      repeats_first_(FactsOf(shape).repeats_first),
      stats_(shape.layer_count, shape.expert_count) {
  for (int64_t i = 0; i < shape.layer_count; ++i) {
    layers_.push_back({.seen_E = at::zeros({shape.expert_count}, at::kBool)});
  }
}

void RoutingMeter::Record(const std::vector<at::Tensor>& routing_RE,
                          int64_t sequences) {
  LORY_CHECK(routing_RE.size() == layers_.size());
  for (size_t i = 0; i < layers_.size(); ++i) {
    const at::Tensor& rows_RE = routing_RE[i];
    stats_.Record(static_cast<int64_t>(i), rows_RE);
    if (utilisation_window_ > 0) RecordWindows(rows_RE, layers_[i]);
    const int64_t decisions = rows_RE.size(0) / sequences;
    RecordNeighbors(rows_RE.view({sequences, decisions, rows_RE.size(1)}),
                    layers_[i]);
  }
}

void RoutingMeter::RecordWindows(const at::Tensor& routing_RE,
                                 Layer& layer) const {
  const double least = 2.0 / static_cast<double>(routing_RE.size(1));
  const at::Tensor active_RE = routing_RE.to(at::kDouble) > least;
  const int64_t count = routing_RE.size(0);
  for (int64_t done = 0; done < count;) {
    const int64_t take =
        std::min(utilisation_window_ - layer.in_window, count - done);
    layer.seen_E = layer.seen_E | active_RE.narrow(0, done, take).any(0);
    layer.in_window += take;
    done += take;
    if (layer.in_window < utilisation_window_) continue;
    layer.active_share_sum +=
        SumOf(layer.seen_E) / static_cast<double>(layer.seen_E.numel());
    ++layer.window_count;
    layer.in_window = 0;
    layer.seen_E = at::zeros_like(layer.seen_E);
  }
}

void RoutingMeter::RecordNeighbors(const at::Tensor& routing_BNE,
                                   Layer& layer) const {
  const int64_t first = repeats_first_ ? 1 : 0;
  const int64_t pairs = routing_BNE.size(1) - first - 1;
  if (pairs < 1) return;
  const at::Tensor numbers_BNE = routing_BNE.to(at::kDouble);
  const at::Tensor one = numbers_BNE.narrow(1, first, pairs);
  const at::Tensor next = numbers_BNE.narrow(1, first + 1, pairs);
  const at::Tensor sizes =
      (one.square().sum(-1) * next.square().sum(-1)).sqrt();
  // Where no expert took one of the two there is nothing to compare.
  const at::Tensor routed = sizes > 0;
  const at::Tensor cosines = (one * next).sum(-1) / sizes;
  layer.cosine_sum += SumOf(cosines.masked_select(routed));
  layer.agreement_sum +=
      SumOf((one.argmax(-1) == next.argmax(-1)).masked_select(routed));
  layer.neighbor_count += routed.sum().item<int64_t>();
}

void RoutingMeter::Add(const RoutingMeter& other) {
  stats_.Add(other.stats_);
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& mine = layers_[i];
    const Layer& theirs = other.layers_[i];
    mine.window_count += theirs.window_count;
    mine.active_share_sum += theirs.active_share_sum;
    mine.neighbor_count += theirs.neighbor_count;
    mine.cosine_sum += theirs.cosine_sum;
    mine.agreement_sum += theirs.agreement_sum;
  }
}

std::vector<RoutingFigures> RoutingMeter::Figures() const {
  std::vector<RoutingFigures> all;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const int64_t index = static_cast<int64_t>(i);
    const Layer& layer = layers_[i];
    all.push_back(
        {.decision_count = static_cast<int64_t>(stats_.DecisionCount(index)),
         .mean_weights = stats_.MeanWeights(index),
         .entropy = stats_.MeanEntropy(index),
         .active_share = stats_.ActiveShare(index),
         .active_share_in_window =
             MeanOf(layer.active_share_sum, layer.window_count),
         .window_count = layer.window_count,
         .unrouted_share = stats_.UnroutedShare(index),
         .load_ratio = stats_.LoadRatio(index),
         .neighbor_count = layer.neighbor_count,
         .neighbor_cosine = MeanOf(layer.cosine_sum, layer.neighbor_count),
         .neighbor_agreement =
             MeanOf(layer.agreement_sum, layer.neighbor_count)});
  }
  return all;
}

}  // namespace lory::eval
