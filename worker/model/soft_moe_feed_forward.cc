#include "worker/model/soft_moe_feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

#include <vector>

namespace lory::model {
namespace {

// Of length one; the constant is that of the authors' code.
at::Tensor Normed(const at::Tensor& vectors) {
  return vectors * (vectors.square().sum(-1, /*keepdim=*/true) + 1e-6).rsqrt();
}

}  // namespace

SoftMoeRouter::SoftMoeRouter(const lory::config::ModelShape& /*shape*/,
                             const ParameterStore& parameters, int64_t layer)
    : slots_EPD_(LayerParameter(parameters, layer, lory::config::kSlots)),
      scale_1_(LayerParameter(parameters, layer, lory::config::kSlotScale)) {}

at::Tensor SoftMoeRouter::Logits(const at::Tensor& tokens_D) const {
  const at::Tensor slots_SD = Normed(slots_EPD_.flatten(0, 1)) * scale_1_;
  return at::linear(Normed(tokens_D), slots_SD);
}

at::Tensor SoftMoeRouter::Mixtures(const at::Tensor& logits_BLS,
                                   const at::Tensor& tokens_BLD) {
  const at::Tensor dispatch_BLS = at::softmax(logits_BLS, 1);
  return at::matmul(dispatch_BLS.transpose(1, 2), tokens_BLD);
}

at::Tensor SoftMoeRouter::Weights(const at::Tensor& deciding_U1D) const {
  return at::softmax(Logits(deciding_U1D.select(1, 0)), -1);
}

Router::FilledSlots SoftMoeRouter::FillSlots(const at::Tensor& tokens_LD,
                                             int64_t filling) const {
  const at::Tensor tokens_1LD = tokens_LD.unsqueeze(0);
  const at::Tensor logits_1LS = Logits(tokens_1LD);
  return {at::softmax(logits_1LS[0], -1),
          Mixtures(logits_1LS.narrow(1, 0, filling),
                   tokens_1LD.narrow(1, 0, filling))[0]};
}

at::Tensor SoftMoeRouter::Shares(const at::Tensor& weights_US) const {
  return weights_US.unflatten(-1, {slots_EPD_.size(0), -1}).sum(-1);
}

SoftMoeFeedForward::SoftMoeFeedForward(const lory::config::ModelShape& shape,
                                       const ParameterStore& parameters,
                                       int64_t layer)
    : router_(shape, parameters, layer),
      slots_per_expert_(shape.feed_forward_spec.soft_moe().slots_per_expert()),
      experts_(parameters, layer) {}

FeedForwardResult SoftMoeFeedForward::Forward(const at::Tensor& hidden_BLD,
                                              const Pass& pass) const {
  const int64_t B = hidden_BLD.size(0), D = hidden_BLD.size(2);
  const int64_t E = experts_.expert_count(), P = slots_per_expert_;
  const at::Tensor logits_BLS = router_.Logits(hidden_BLD);
  const int64_t filling = pass.Deciding(hidden_BLD.size(1));
  // Expert by expert: its slots of all sequences.
  const at::Tensor mixed_EBPD =
      SoftMoeRouter::Mixtures(logits_BLS.narrow(1, 0, filling),
                              hidden_BLD.narrow(1, 0, filling))
          .unflatten(1, {E, P})
          .transpose(0, 1);
  const std::vector<int64_t> counts(E, B * P);
  const at::Tensor out_BSD =
      experts_.Grouped(mixed_EBPD.reshape({-1, D}), counts)
          .view({E, B, P, D})
          .transpose(0, 1)
          .flatten(1, 2);
  const at::Tensor combine_BLS = at::softmax(logits_BLS, -1);
  return {at::matmul(combine_BLS, out_BSD),
          router_.Shares(combine_BLS.detach()).flatten(0, 1),
          {}};
}

}  // namespace lory::model
