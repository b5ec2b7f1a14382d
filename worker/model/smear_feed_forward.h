#ifndef LORY_WORKER_MODEL_SMEAR_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_SMEAR_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/model/expert_bank.h"
#include "worker/model/feed_forward.h"
#include "worker/model/router.h"

namespace lory::model {

// A text by the normed mean of its first tokens.
class SmearRouter final : public Router {
 public:
  SmearRouter(const lory::config::ModelShape& shape,
              const ParameterStore& parameters, int64_t layer);

  RoutingUnit unit() const override {
    return {RoutingUnit::Kind::kText, pool_length_};
  }
  bool merges() const override { return true; }
  at::Tensor Weights(const at::Tensor& deciding_URD) const override;

 private:
  int64_t pool_length_;
  at::Tensor router_ED_;
  at::Tensor norm_gain_D_;  // of the mean
  at::Tensor norm_bias_D_;
  at::Tensor row_gain_D_;  // of the router's rows
  at::Tensor row_bias_D_;
};

// SMEAR (Muqeeth, Liu, Raffel, arXiv 2306.03745; details as in the authors'
// code): one mixture of experts a sequence, merged in parameter space and
// routed by the mean of its first pool_length tokens, or of all. The mean goes
// through a layer norm, and so do the rows of the router; the bias of their
// norm has no effect, and is there because it is in that code. In training each
// expert is left out of a sequence's mixture with the chance expert_dropout.
//
// What moves when a token changes: of the pool, every position; another token,
// its own. Nothing is cut from the gradient, so routers may learn from what
// leaks within the pool. With a pool of the whole sequence the model is not
// causal.
class SmearFeedForward final : public FeedForward {
 public:
  SmearFeedForward(const lory::config::ModelShape& shape,
                   const ParameterStore& parameters, int64_t layer);

  FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                            const Pass& pass) const override;

 private:
  double expert_dropout_;
  SmearRouter router_;
  ExpertBank experts_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_SMEAR_FEED_FORWARD_H_
