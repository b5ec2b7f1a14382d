#include "worker/model/weight_ensembling_feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>

namespace lory::model {

using WeightEnsemblingOptions = ::lory::v1::WeightEnsemblingFeedForward;

WeightEnsemblingRouter::WeightEnsemblingRouter(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer)
    : options_(shape.feed_forward_spec.weight_ensembling()),
      bias_E_(LayerParameter(parameters, layer, lory::config::kRouterBias)) {
  if (options_.gate() == WeightEnsemblingOptions::CONSTANT) return;
  router_ED_ = LayerParameter(parameters, layer, lory::config::kRouter);
  if (options_.gate() == WeightEnsemblingOptions::LINEAR) return;
  hidden_DD_ = LayerParameter(parameters, layer, lory::config::kRouterHidden);
  hidden_bias_D_ =
      LayerParameter(parameters, layer, lory::config::kRouterHiddenBias);
}

at::Tensor WeightEnsemblingRouter::Gate(const at::Tensor& deciding_URD) const {
  if (options_.gate() == WeightEnsemblingOptions::CONSTANT) {
    return bias_E_.expand({deciding_URD.size(0), -1});
  }
  at::Tensor gated = deciding_URD;
  if (options_.gate() == WeightEnsemblingOptions::TWO_LAYERS) {
    gated = at::relu(at::linear(gated, hidden_DD_, hidden_bias_D_));
  }
  // The last map commutes with the mean, and is cheaper after it.
  return at::linear(gated.mean(1), router_ED_, bias_E_);
}

at::Tensor WeightEnsemblingRouter::Weights(
    const at::Tensor& deciding_URD) const {
  const at::Tensor weights_UE = Gate(deciding_URD);
  return at::cat(
      {at::ones({weights_UE.size(0), 1}, weights_UE.options()), weights_UE}, 1);
}

at::Tensor WeightEnsemblingRouter::Shares(const at::Tensor& weights_UX) const {
  const at::Tensor sizes_UE =
      weights_UX.narrow(1, 1, weights_UX.size(1) - 1).abs();
  return sizes_UE / sizes_UE.sum(-1, /*keepdim=*/true).clamp_min(1e-20);
}

WeightEnsemblingFeedForward::WeightEnsemblingFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer)
    : router_(shape, parameters, layer), base_and_tasks_(parameters, layer) {}

FeedForwardResult WeightEnsemblingFeedForward::Forward(
    const at::Tensor& hidden_BLD, const Pass& pass) const {
  const int64_t pool =
      pass.Deciding(router_.unit().Deciding(hidden_BLD.size(1)));
  const at::Tensor weights_BX = router_.Weights(hidden_BLD.narrow(1, 0, pool));
  return {base_and_tasks_.Merged(hidden_BLD, weights_BX.unsqueeze(1)),
          router_.Shares(weights_BX.detach()),
          {}};
}

}  // namespace lory::model
