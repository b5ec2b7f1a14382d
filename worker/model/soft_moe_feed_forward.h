#ifndef LORY_WORKER_MODEL_SOFT_MOE_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_SOFT_MOE_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/model/expert_bank.h"
#include "worker/model/feed_forward.h"

namespace lory::model {

// Soft MoE (Puigcerver et al., arXiv 2308.00951, algorithm 1). Each expert has
// P slots, each a mixture of all tokens of a sequence; each token gets a
// mixture of all slots' outputs. Both mixtures are softmaxes of one table of
// logits: of normed tokens with normed slot parameters times a learned scale.
//
// What moves when a token changes: every position of its sequence. Not causal:
// a model of it fits in the middle of a text, or reads one, and predicts no
// next token honestly. ResolveModelShape refuses it unless the spec says that
// this is known.
class SoftMoeFeedForward final : public FeedForward {
 public:
  SoftMoeFeedForward(const lory::config::ModelShape& shape,
                     const ParameterStore& parameters, int64_t layer);

  FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                            const Pass& pass) const override;

 private:
  at::Tensor slots_EPD_;
  at::Tensor scale_1_;
  ExpertBank experts_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_SOFT_MOE_FEED_FORWARD_H_
