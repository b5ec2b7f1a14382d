#include "worker/model/weight_ensembling_feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>

#include <algorithm>

namespace lory::model {

using WeightEnsemblingOptions = ::lory::v1::WeightEnsemblingFeedForward;

WeightEnsemblingFeedForward::WeightEnsemblingFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer)
    : options_(shape.feed_forward_spec.weight_ensembling()),
      bias_E_(LayerParameter(parameters, layer, lory::config::kRouterBias)),
      base_and_tasks_(parameters, layer) {
  if (options_.gate() == WeightEnsemblingOptions::CONSTANT) return;
  router_ED_ = LayerParameter(parameters, layer, lory::config::kRouter);
  if (options_.gate() == WeightEnsemblingOptions::LINEAR) return;
  hidden_DD_ = LayerParameter(parameters, layer, lory::config::kRouterHidden);
  hidden_bias_D_ =
      LayerParameter(parameters, layer, lory::config::kRouterHiddenBias);
}

at::Tensor WeightEnsemblingFeedForward::Weights(const at::Tensor& hidden_BLD,
                                                const Pass& pass) const {
  if (options_.gate() == WeightEnsemblingOptions::CONSTANT) {
    return bias_E_.expand({hidden_BLD.size(0), -1});
  }
  const int64_t length = hidden_BLD.size(1);
  const int64_t pool =
      pass.Deciding(options_.pool_length() == 0
                        ? length
                        : std::min<int64_t>(options_.pool_length(), length));
  at::Tensor gated = hidden_BLD.narrow(1, 0, pool);
  if (options_.gate() == WeightEnsemblingOptions::TWO_LAYERS) {
    gated = at::relu(at::linear(gated, hidden_DD_, hidden_bias_D_));
  }
  // The last map commutes with the mean, and is cheaper after it.
  return at::linear(gated.mean(1), router_ED_, bias_E_);
}

FeedForwardResult WeightEnsemblingFeedForward::Forward(
    const at::Tensor& hidden_BLD, const Pass& pass) const {
  const at::Tensor weights_BE = Weights(hidden_BLD, pass);
  const at::Tensor all_B = at::cat(
      {at::ones({weights_BE.size(0), 1}, weights_BE.options()), weights_BE}, 1);
  FeedForwardResult result;
  result.out_BLD = base_and_tasks_.Merged(hidden_BLD, all_B.unsqueeze(1));
  // Statistics are of shares.
  const at::Tensor sizes_BE = weights_BE.detach().abs();
  result.routing_RE =
      sizes_BE / sizes_BE.sum(-1, /*keepdim=*/true).clamp_min(1e-20);
  return result;
}

}  // namespace lory::model
