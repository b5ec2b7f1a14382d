#ifndef LORY_WORKER_MODEL_DENSE_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_DENSE_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/model/feed_forward.h"

namespace lory::model {

// One SwiGLU for all tokens: down(silu(gate x) * up x).
class DenseFeedForward final : public FeedForward {
 public:
  DenseFeedForward(const ParameterStore& parameters, int64_t layer);

  FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                            const Pass& pass) const override;

 private:
  at::Tensor gate_FD_;
  at::Tensor up_FD_;
  at::Tensor down_DF_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_DENSE_FEED_FORWARD_H_
