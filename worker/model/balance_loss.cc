#include "worker/model/balance_loss.h"

#include <ATen/TensorOperators.h>

#include "common/base/check.h"

namespace lory::model {
namespace {

using BalanceSpec = ::lory::v1::TokenChoiceFeedForward;

at::Tensor Product(const at::Tensor& chosen_E,
                   const at::Tensor& probability_E) {
  return (chosen_E * probability_E).sum() *
         static_cast<double>(chosen_E.size(0));
}

}  // namespace

at::Tensor BalanceLoss(BalanceSpec::Balance balance, int64_t top_k,
                       std::span<const RouterLoad> layers) {
  LORY_CHECK(!layers.empty());
  if (balance == BalanceSpec::HF_MIXTRAL) {
    at::Tensor chosen_E = layers[0].chosen_E;
    at::Tensor probability_E = layers[0].probability_E;
    for (const RouterLoad& layer : layers.subspan(1)) {
      chosen_E = chosen_E + layer.chosen_E;
      probability_E = probability_E + layer.probability_E;
    }
    const auto count = static_cast<double>(layers.size());
    return Product(chosen_E / count, probability_E / count);
  }
  at::Tensor sum = Product(layers[0].chosen_E, layers[0].probability_E);
  for (const RouterLoad& layer : layers.subspan(1)) {
    sum = sum + Product(layer.chosen_E, layer.probability_E);
  }
  return balance == BalanceSpec::MEGATRON ? sum / static_cast<double>(top_k)
                                          : sum;
}

at::Tensor ZLoss(std::span<const RouterLoad> layers) {
  LORY_CHECK(!layers.empty());
  at::Tensor sum = layers[0].squared_partition;
  for (const RouterLoad& layer : layers.subspan(1)) {
    sum = sum + layer.squared_partition;
  }
  return sum;
}

}  // namespace lory::model
