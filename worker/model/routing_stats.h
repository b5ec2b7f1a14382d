#ifndef LORY_WORKER_MODEL_ROUTING_STATS_H_
#define LORY_WORKER_MODEL_ROUTING_STATS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace lory::model {

// How the routers of a model spread their weight, as sums, so that the
// statistics of micro-batches and of ranks add up: as objects with Add, as
// floats with Flatten and an all-reduce. They are over decisions: what a router
// routed as one, a segment, a sequence or a token. Where nothing was decided
// nothing counts: the first segment does under SELF_STOP_GRADIENT alone.
//
// A dense model's are empty: no layers, Flatten returns nothing.
class RoutingStats {
 public:
  RoutingStats() = default;
  // All zero.
  RoutingStats(int64_t layer_count, int64_t expert_count);

  // Sums from the numbers of Flatten, of which there must be
  // FlatSize(layer_count, expert_count).
  static RoutingStats FromFlat(int64_t layer_count, int64_t expert_count,
                               std::span<const float> numbers);

  // Numbers that Flatten returns: 3 E + 3 a layer.
  static int64_t FlatSize(int64_t layer_count, int64_t expert_count);

  // Counts the decisions of one forward pass in `layer`: rows of routing_RE,
  // each summing to one, or to zero where no expert took it.
  void Record(int64_t layer, const at::Tensor& routing_RE);

  // Adds `other`, of the same size; an empty one is the neutral element, on
  // either side.
  void Add(const RoutingStats& other);

  bool empty() const { return layer_count_ == 0; }
  int64_t layer_count() const { return layer_count_; }
  int64_t expert_count() const { return expert_count_; }

  // Every sum; for each layer E weights, E active counts, E counts of what each
  // took, entropy, decisions, decisions for no expert.
  std::vector<float> Flatten() const;

  // Decisions for some expert in `layer`. The figures below are over these, and
  // 0 when there is none.
  double DecisionCount(int64_t layer) const;
  // Mean routing weight of each expert; they sum to one.
  std::vector<double> MeanWeights(int64_t layer) const;
  // Mean entropy of the routing weights, in nats; at most ln(E).
  double MeanEntropy(int64_t layer) const;
  // For each expert, the share of decisions that gave it more than 2 / E.
  std::vector<double> ActiveFractions(int64_t layer) const;
  // Share of experts that at least one decision gave more than 2 / E: the
  // paper's expert utilisation (figure 9).
  double ActiveShare(int64_t layer) const;
  // Share of all decisions that no expert took.
  double UnroutedShare(int64_t layer) const;
  // Decisions that gave the busiest expert any weight, over the mean of all
  // experts: from 1, when even, to E; 0 when there are none.
  double LoadRatio(int64_t layer) const;

 private:
  struct LayerSums {
    std::vector<double> weights;  // [E]
    std::vector<double> active;   // [E]
    std::vector<double> taken;    // [E]
    double entropy = 0;
    double decisions = 0;
    double unrouted = 0;
  };

  int64_t layer_count_ = 0;
  int64_t expert_count_ = 0;
  std::vector<LayerSums> layers_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_ROUTING_STATS_H_
