#ifndef LORY_TOOLS_MODEL_EVAL_ROUTING_METER_H_
#define LORY_TOOLS_MODEL_EVAL_ROUTING_METER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/config/model_shape.h"
#include "worker/model/routing_stats.h"

namespace lory::eval {

// How one layer's router spread some text over its experts. A decision is what
// it routed as one: see VariantFacts::unit.
struct RoutingFigures {
  int64_t decision_count = 0;
  std::vector<double> mean_weights;  // [E]
  double entropy = 0;                // of a decision, in nats
  // Share of the experts that some decision gave more than 2 / E.
  double active_share = 0;
  // The same, the mean over windows of so many decisions; of `window_count`
  // whole ones. 0: there was none.
  double active_share_in_window = 0;
  int64_t window_count = 0;
  double unrouted_share = 0;  // of decisions that no expert took
  double load_ratio = 0;      // of the busiest expert to the mean of all

  // Of decisions that follow each other in a sequence: the mean cosine of their
  // weights, and the share that have the same expert first.
  int64_t neighbor_count = 0;
  double neighbor_cosine = 0;
  double neighbor_agreement = 0;
};

// Collects the routing of a text, by layer. Thread-compatible.
class RoutingMeter {
 public:
  // Of a model with experts. `utilisation_window` decisions are a window of
  // active_share_in_window (0: none is).
  RoutingMeter(const lory::config::ModelShape& shape,
               int64_t utilisation_window);

  // What Transformer::TokenLosses said of `sequences` sequences.
  void Record(const std::vector<at::Tensor>& routing_RE, int64_t sequences);
  // The text of another meter of the same model and window as well; windows
  // that are not full on either side are lost.
  void Add(const RoutingMeter& other);

  // By layer.
  std::vector<RoutingFigures> Figures() const;

 private:
  struct Layer {
    // The window that is being filled.
    at::Tensor seen_E;
    int64_t in_window = 0;
    int64_t window_count = 0;
    double active_share_sum = 0;

    int64_t neighbor_count = 0;
    double cosine_sum = 0;
    double agreement_sum = 0;
  };

  void RecordWindows(const at::Tensor& routing_RE, Layer& layer) const;
  void RecordNeighbors(const at::Tensor& routing_BNE, Layer& layer) const;

  int64_t utilisation_window_;
  bool repeats_first_;
  lory::model::RoutingStats stats_;
  std::vector<Layer> layers_;
};

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_ROUTING_METER_H_
