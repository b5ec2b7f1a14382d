#ifndef LORY_WORKER_MODEL_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "common/config/model_shape.h"
#include "worker/model/parameter_store.h"

namespace lory::model {

// What a feed-forward answers.
struct FeedForwardResult {
  at::Tensor out_BLD;
  // Routing weights of the segments that a router decided, cut from the
  // graph, for statistics; undefined for a dense feed-forward.
  at::Tensor routing_SE;
};

// The feed-forward of one layer. Variants differ in how they choose weights.
// Holds handles to parameters of the model that owns it. Thread-compatible.
class FeedForward {
 public:
  virtual ~FeedForward() = default;

  // hidden_BLD is the normed hidden state; the caller adds the residual.
  virtual FeedForwardResult Forward(const at::Tensor& hidden_BLD) const = 0;
};

// The variant that `shape` names, with the parameters of layer `layer`.
std::unique_ptr<FeedForward> MakeFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_FEED_FORWARD_H_
