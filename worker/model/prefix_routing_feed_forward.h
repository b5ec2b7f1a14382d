#ifndef LORY_WORKER_MODEL_PREFIX_ROUTING_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_PREFIX_ROUTING_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/model/expert_bank.h"
#include "worker/model/feed_forward.h"

namespace lory::model {

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
  int64_t segment_length_;
  at::Tensor router_ED_;
  ExpertBank experts_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_PREFIX_ROUTING_FEED_FORWARD_H_
