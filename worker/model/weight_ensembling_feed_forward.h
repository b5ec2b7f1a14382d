#ifndef LORY_WORKER_MODEL_WEIGHT_ENSEMBLING_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_WEIGHT_ENSEMBLING_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/model/expert_bank.h"
#include "worker/model/feed_forward.h"
#include "worker/model/router.h"

namespace lory::model {

// A text by the mean of what a gate says of its first tokens. The base, which
// is the first of the bank, has the weight one.
class WeightEnsemblingRouter final : public Router {
 public:
  WeightEnsemblingRouter(const lory::config::ModelShape& shape,
                         const ParameterStore& parameters, int64_t layer);

  RoutingUnit unit() const override {
    return {RoutingUnit::Kind::kText, options_.pool_length()};
  }
  bool merges() const override { return true; }
  at::Tensor Weights(const at::Tensor& deciding_URD) const override;
  // Of the sizes of the task vectors' weights.
  at::Tensor Shares(const at::Tensor& weights_UX) const override;

 private:
  // Weights of the task vectors.
  at::Tensor Gate(const at::Tensor& deciding_URD) const;

  lory::v1::WeightEnsemblingFeedForward options_;
  // Undefined where the gate has no such map.
  at::Tensor hidden_DD_;
  at::Tensor hidden_bias_D_;
  at::Tensor router_ED_;
  at::Tensor bias_E_;
};

// WEMoE (Tang et al., arXiv 2402.00433): one feed-forward a sequence, whose
// matrices are those of a base plus weighted task vectors. The weights are the
// mean of a gate's outputs over the first pool_length tokens, or over all; they
// are not normalised. A constant gate is task arithmetic with learned weights.
//
// What moves when a token changes: of the pool, every position; another token,
// its own. Nothing is cut from the gradient. With a constant gate there is no
// pool; with one of the whole sequence the model is not causal.
class WeightEnsemblingFeedForward final : public FeedForward {
 public:
  WeightEnsemblingFeedForward(const lory::config::ModelShape& shape,
                              const ParameterStore& parameters, int64_t layer);

  FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                            const Pass& pass) const override;

 private:
  WeightEnsemblingRouter router_;
  ExpertBank base_and_tasks_;  // the base is the first
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_WEIGHT_ENSEMBLING_FEED_FORWARD_H_
