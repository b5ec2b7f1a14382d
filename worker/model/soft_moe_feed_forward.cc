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

SoftMoeFeedForward::SoftMoeFeedForward(const lory::config::ModelShape& shape,
                                       const ParameterStore& parameters,
                                       int64_t layer)
    : slots_EPD_(LayerParameter(parameters, layer, lory::config::kSlots)),
      scale_1_(LayerParameter(parameters, layer, lory::config::kSlotScale)),
      experts_(parameters, layer) {}

FeedForwardResult SoftMoeFeedForward::Forward(const at::Tensor& hidden_BLD,
                                              const Pass&) const {
  const int64_t B = hidden_BLD.size(0), D = hidden_BLD.size(2);
  const int64_t E = slots_EPD_.size(0), P = slots_EPD_.size(1);
  // Slots of all experts, E * P, are the letter S here.
  const at::Tensor slots_SD = Normed(slots_EPD_.flatten(0, 1)) * scale_1_;
  const at::Tensor logits_BLS = at::linear(Normed(hidden_BLD), slots_SD);
  const at::Tensor dispatch_BLS = at::softmax(logits_BLS, 1);
  const at::Tensor combine_BLS = at::softmax(logits_BLS, -1);
  // Expert by expert: its slots of all sequences.
  const at::Tensor mixed_EBPD =
      at::matmul(dispatch_BLS.transpose(1, 2), hidden_BLD)
          .unflatten(1, {E, P})
          .transpose(0, 1);
  const std::vector<int64_t> counts(E, B * P);
  const at::Tensor out_BSD =
      experts_.Grouped(mixed_EBPD.reshape({-1, D}), counts)
          .view({E, B, P, D})
          .transpose(0, 1)
          .flatten(1, 2);
  return {at::matmul(combine_BLS, out_BSD),
          combine_BLS.detach().unflatten(2, {E, P}).sum(-1).flatten(0, 1),
          {}};
}

}  // namespace lory::model
