#include "worker/model/smear_feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/softmax.h>

#include "common/base/random.h"

namespace lory::model {
namespace {

constexpr double kNormEpsilon = 1e-5;
// Keeps a mixture that lost all experts: it becomes the even one.
constexpr double kLeast = 1e-10;

at::Tensor Normed(const at::Tensor& rows, const at::Tensor& gain_D,
                  const at::Tensor& bias_D) {
  return at::layer_norm(rows, gain_D.sizes(), gain_D, bias_D, kNormEpsilon);
}

// The weights with each left out by the chance `dropout`, summing to one again.
at::Tensor Dropped(const at::Tensor& routing_BE, double dropout,
                   uint64_t seed) {
  const at::Tensor kept = at::empty_like(
      routing_BE, at::TensorOptions().dtype(at::kDouble).device(at::kCPU));
  Random random(seed);
  double* next = kept.mutable_data_ptr<double>();
  for (int64_t i = 0; i < kept.numel(); ++i) {
    *next++ = random.NextDouble() < dropout ? 0 : 1;
  }
  const at::Tensor weights_BE =
      routing_BE * kept.to(routing_BE.options()) + kLeast;
  return weights_BE / weights_BE.sum(-1, /*keepdim=*/true);
}

}  // namespace

SmearRouter::SmearRouter(const lory::config::ModelShape& shape,
                         const ParameterStore& parameters, int64_t layer)
    : pool_length_(shape.feed_forward_spec.smear().pool_length()),
      router_ED_(LayerParameter(parameters, layer, lory::config::kRouter)),
      norm_gain_D_(
          LayerParameter(parameters, layer, lory::config::kRouterNormGain)),
      norm_bias_D_(
          LayerParameter(parameters, layer, lory::config::kRouterNormBias)),
      row_gain_D_(
          LayerParameter(parameters, layer, lory::config::kRouterRowGain)),
      row_bias_D_(
          LayerParameter(parameters, layer, lory::config::kRouterRowBias)) {}

at::Tensor SmearRouter::Weights(const at::Tensor& deciding_URD) const {
  const at::Tensor mean_UD = deciding_URD.mean(1);
  return at::softmax(at::linear(Normed(mean_UD, norm_gain_D_, norm_bias_D_),
                                Normed(router_ED_, row_gain_D_, row_bias_D_)),
                     -1);
}

SmearFeedForward::SmearFeedForward(const lory::config::ModelShape& shape,
                                   const ParameterStore& parameters,
                                   int64_t layer)
    : expert_dropout_(shape.feed_forward_spec.smear().expert_dropout()),
      router_(shape, parameters, layer),
      experts_(parameters, layer) {}

FeedForwardResult SmearFeedForward::Forward(const at::Tensor& hidden_BLD,
                                            const Pass& pass) const {
  const int64_t pool =
      pass.Deciding(router_.unit().Deciding(hidden_BLD.size(1)));
  at::Tensor routing_BE = router_.Weights(hidden_BLD.narrow(1, 0, pool));
  if (pass.training && expert_dropout_ > 0) {
    routing_BE = Dropped(routing_BE, expert_dropout_, pass.noise_seed);
  }
  return {experts_.Merged(hidden_BLD, routing_BE.unsqueeze(1)),
          routing_BE.detach(),
          {}};
}

}  // namespace lory::model
