#include "worker/model/token_choice_feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros_like.h>

#include <tuple>

#include "worker/model/balance_loss.h"

namespace lory::model {

using TokenChoiceOptions = ::lory::v1::TokenChoiceFeedForward;

TokenChoiceFeedForward::TokenChoiceFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer)
    : options_(shape.feed_forward_spec.token_choice()),
      router_ED_(LayerParameter(parameters, layer, lory::config::kRouter)),
      experts_(parameters, layer) {}

FeedForwardResult TokenChoiceFeedForward::Forward(const at::Tensor& hidden_BLD,
                                                  const Pass& pass) const {
  const at::Tensor rows_RD = hidden_BLD.flatten(0, 1);
  const at::Tensor logits_RE = at::linear(rows_RD, router_ED_);
  const at::Tensor probability_RE = at::softmax(logits_RE, -1);
  // Stable, so that the choice is one and the same everywhere.
  const at::Tensor chosen_RK =
      std::get<1>(at::sort(logits_RE.detach(), /*stable=*/true, /*dim=*/-1,
                           /*descending=*/true))
          .narrow(1, 0, options_.top_k());
  const at::Tensor weights_RK =
      options_.weights() == TokenChoiceOptions::PROBABILITY
          ? probability_RE.gather(1, chosen_RK)
          : at::softmax(logits_RE.gather(1, chosen_RK), -1);
  const at::Tensor out_RKD = experts_.Chosen(rows_RD, chosen_RK);
  FeedForwardResult result;
  result.out_BLD =
      (out_RKD * weights_RK.unsqueeze(-1)).sum(1).view(hidden_BLD.sizes());
  // The share that each expert has in a token's output.
  const at::Tensor shares_RK =
      weights_RK.detach() / weights_RK.detach().sum(-1, /*keepdim=*/true);
  result.routing_RE =
      at::zeros_like(logits_RE.detach()).scatter(1, chosen_RK, shares_RK);
  if (pass.training) {
    result.load.chosen_E =
        at::zeros_like(logits_RE.detach()).scatter(1, chosen_RK, 1).mean(0);
    result.load.probability_E = probability_RE.mean(0);
    result.load.squared_partition =
        at::logsumexp(logits_RE, -1).square().mean();
  }
  return result;
}

at::Tensor TokenChoiceFeedForward::AuxiliaryLoss(
    std::span<const RouterLoad> layers) const {
  at::Tensor loss;
  if (options_.balance() != TokenChoiceOptions::NONE) {
    loss = BalanceLoss(options_.balance(), options_.top_k(), layers) *
           options_.balance_coefficient();
  }
  if (options_.z_loss_coefficient() > 0) {
    const at::Tensor z_loss = ZLoss(layers) * options_.z_loss_coefficient();
    loss = loss.defined() ? loss + z_loss : z_loss;
  }
  return loss;
}

}  // namespace lory::model
