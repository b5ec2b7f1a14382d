#ifndef LORY_WORKER_MODEL_PREFIX_ROUTING_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_PREFIX_ROUTING_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/model/expert_bank.h"
#include "worker/model/feed_forward.h"
#include "worker/model/router.h"

namespace lory::model {

// A text by the mean of its first segment.
class PrefixRouter final : public Router {
 public:
  PrefixRouter(const lory::config::ModelShape& shape,
               const ParameterStore& parameters, int64_t layer);

  RoutingUnit unit() const override {
    return {RoutingUnit::Kind::kText, segment_length_};
  }
  bool merges() const override { return true; }
  at::Tensor Weights(const at::Tensor& deciding_URD) const override;

 private:
  int64_t segment_length_;
  at::Tensor router_ED_;
};

// Experts merged once for a sequence, by the mean of its first segment: the
// ablation of Lory (arXiv 2405.03133, section 5.2 and figure 3). The first
// segment itself uses its routing weights cut from the gradient, later tokens
// use them whole.
//
// What moves when a token changes: of the first segment, every position;
// another token, only positions from it on.
//
// A sequence shorter than a segment is one segment.
class PrefixRoutingFeedForward final : public FeedForward {
 public:
  PrefixRoutingFeedForward(const lory::config::ModelShape& shape,
                           const ParameterStore& parameters, int64_t layer);

  FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                            const Pass& pass) const override;

 private:
  PrefixRouter router_;
  ExpertBank experts_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_PREFIX_ROUTING_FEED_FORWARD_H_
