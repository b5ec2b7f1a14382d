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

TokenChoiceRouter::TokenChoiceRouter(const lory::config::ModelShape& shape,
                                     const ParameterStore& parameters,
                                     int64_t layer)
    : options_(shape.feed_forward_spec.token_choice()),
      router_ED_(LayerParameter(parameters, layer, lory::config::kRouter)) {}

TokenChoiceRouter::Choice TokenChoiceRouter::Choose(
    const at::Tensor& rows_RD) const {
  Choice choice;
  choice.logits_RE = at::linear(rows_RD, router_ED_);
  choice.probability_RE = at::softmax(choice.logits_RE, -1);
  // Stable, so that the choice is one and the same everywhere.
  choice.chosen_RK =
      std::get<1>(at::sort(choice.logits_RE.detach(), /*stable=*/true,
                           /*dim=*/-1, /*descending=*/true))
          .narrow(1, 0, options_.top_k());
  choice.weights_RK =
      options_.weights() == TokenChoiceOptions::PROBABILITY
          ? choice.probability_RE.gather(1, choice.chosen_RK)
          : at::softmax(choice.logits_RE.gather(1, choice.chosen_RK), -1);
  return choice;
}

at::Tensor TokenChoiceRouter::Weights(const at::Tensor& deciding_URD) const {
  const Choice choice = Choose(deciding_URD.flatten(0, 1));
  return at::zeros_like(choice.logits_RE)
      .scatter(1, choice.chosen_RK, choice.weights_RK);
}

TokenChoiceFeedForward::TokenChoiceFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer)
    : options_(shape.feed_forward_spec.token_choice()),
      router_(shape, parameters, layer),
      experts_(parameters, layer) {}

FeedForwardResult TokenChoiceFeedForward::Forward(const at::Tensor& hidden_BLD,
                                                  const Pass& pass) const {
  const at::Tensor rows_RD = hidden_BLD.flatten(0, 1);
  const auto [logits_RE, probability_RE, chosen_RK, weights_RK] =
      router_.Choose(rows_RD);
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
