#include "worker/model/expert_choice_feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "worker/model/segment_router.h"

namespace lory::model {
namespace {

using ExpertChoiceOptions = ::lory::v1::ExpertChoiceFeedForward;

// Indices of the `count` largest numbers of the last dimension.
at::Tensor Largest(const at::Tensor& numbers, int64_t count) {
  return std::get<1>(at::sort(numbers, /*stable=*/true, /*dim=*/-1,
                              /*descending=*/true))
      .narrow(-1, 0, count);
}

// True at the indices, in a tensor shaped like `numbers`.
at::Tensor MaskOf(const at::Tensor& numbers, const at::Tensor& indices) {
  return at::zeros_like(numbers).scatter(-1, indices, 1).to(at::kBool);
}

}  // namespace

ExpertChoiceRouter::ExpertChoiceRouter(const lory::config::ModelShape& shape,
                                       const ParameterStore& parameters,
                                       int64_t layer)
    : options_(shape.feed_forward_spec.expert_choice()),
      router_ED_(LayerParameter(parameters, layer, lory::config::kRouter)) {}

RoutingUnit ExpertChoiceRouter::unit() const {
  if (options_.level() == ExpertChoiceOptions::TOKEN) return {};
  return {RoutingUnit::Kind::kSegment, options_.segment_length()};
}

at::Tensor ExpertChoiceRouter::Best(const at::Tensor& wishes_UE) const {
  const int64_t count = std::clamp<int64_t>(
      std::llround(options_.capacity_factor()), 1, wishes_UE.size(1));
  return MaskOf(wishes_UE, Largest(wishes_UE, count));
}

at::Tensor ExpertChoiceRouter::Weights(const at::Tensor& deciding_URD) const {
  const at::Tensor wishes_UE = MeanRouting(deciding_URD, router_ED_);
  return wishes_UE * Best(wishes_UE.detach());
}

ExpertChoiceFeedForward::ExpertChoiceFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer)
    : options_(shape.feed_forward_spec.expert_choice()),
      router_(shape, parameters, layer),
      experts_(parameters, layer) {}

at::Tensor ExpertChoiceFeedForward::Wishes(const at::Tensor& hidden_BLD,
                                           int64_t unit_length,
                                           const Pass& pass) const {
  if (options_.level() == ExpertChoiceOptions::SEGMENT) {
    return CausalRouting(hidden_BLD, router_.matrix_ED(), unit_length,
                         pass.Deciding(unit_length));
  }
  return at::softmax(at::linear(hidden_BLD, router_.matrix_ED()), -1);
}

at::Tensor ExpertChoiceFeedForward::ExpertsChoose(
    const at::Tensor& wishes_BNE) const {
  const int64_t E = wishes_BNE.size(2);
  // Groups, experts, units of a group.
  at::Tensor wishes_GEU = wishes_BNE.detach().transpose(1, 2);
  if (options_.group() == ExpertChoiceOptions::BATCH) {
    wishes_GEU = wishes_BNE.detach().flatten(0, 1).t().unsqueeze(0);
  }
  const int64_t units = wishes_GEU.size(2);
  // Less a rounding error, so that a whole share is not rounded up.
  const double share = static_cast<double>(units) * options_.capacity_factor() /
                       static_cast<double>(E);
  const int64_t capacity = std::clamp<int64_t>(
      static_cast<int64_t>(std::ceil(share - 1e-9)), 1, units);
  return MaskOf(wishes_GEU, Largest(wishes_GEU, capacity))
      .transpose(0, 1)
      .flatten(1, 2);
}

FeedForwardResult ExpertChoiceFeedForward::Forward(const at::Tensor& hidden_BLD,
                                                   const Pass& pass) const {
  const int64_t B = hidden_BLD.size(0), L = hidden_BLD.size(1),
                D = hidden_BLD.size(2);
  const int64_t unit_length =
      options_.level() == ExpertChoiceOptions::SEGMENT
          ? std::min<int64_t>(options_.segment_length(), L)
          : 1;
  // What fills up the last segment is in no score: see CausalRouting.
  const int64_t missing = (unit_length - L % unit_length) % unit_length;
  const at::Tensor padded_BLD =
      missing == 0 ? hidden_BLD
                   : at::constant_pad_nd(hidden_BLD, {0, 0, 0, missing});
  const at::Tensor wishes_BNE = Wishes(padded_BLD, unit_length, pass);
  const at::Tensor takes_EU =
      pass.training ? ExpertsChoose(wishes_BNE)
                    : router_.Best(wishes_BNE.detach().flatten(0, 1)).t();

  // Pairs of an expert and a unit, in order of experts.
  const at::Tensor unit_P = takes_EU.nonzero().select(1, 1);
  const at::Tensor count_E =
      (takes_EU.sum(1) * unit_length).to(at::kCPU).contiguous();
  const at::Tensor units_UD = padded_BLD.reshape({-1, unit_length * D});
  const at::Tensor taken_RD = units_UD.index_select(0, unit_P).view({-1, D});
  const at::Tensor out_RD = experts_.Grouped(
      taken_RD, {count_E.const_data_ptr<int64_t>(),
                 static_cast<size_t>(experts_.expert_count())});
  const at::Tensor wishes_EU = wishes_BNE.flatten(0, 1).t();
  const at::Tensor weight_P = wishes_EU.masked_select(takes_EU);
  const at::Tensor weighted_PD =
      out_RD.view({unit_P.size(0), -1}) * weight_P.unsqueeze(-1);
  const at::Tensor sum_UD = at::zeros(units_UD.sizes(), hidden_BLD.options())
                                .index_add(0, unit_P, weighted_PD);

  FeedForwardResult result;
  result.out_BLD = sum_UD.view({B, -1, D}).narrow(1, 0, L);
  const at::Tensor shares_UE = (wishes_EU.detach() * takes_EU).t();
  const at::Tensor total_U1 = shares_UE.sum(-1, /*keepdim=*/true);
  result.routing_RE = shares_UE / total_U1.masked_fill(total_U1 == 0, 1);
  return result;
}

}  // namespace lory::model
