#ifndef LORY_WORKER_MODEL_BALANCE_LOSS_H_
#define LORY_WORKER_MODEL_BALANCE_LOSS_H_

#include <ATen/core/Tensor.h>

#include <span>

#include "lory/v1/model.pb.h"
#include "worker/model/feed_forward.h"

// Losses that keep the routers of token choice even and their logits small.
namespace lory::model {

// The balance loss that `balance` names, without its factor. Differentiable in
// the probabilities. `layers` is not empty and has all tensors but, perhaps,
// the partition.
//
//   SWITCH      sum over layers of E * sum_i chosen_i probability_i; top_k for
//               each layer when balanced (arXiv 2101.03961, equation 4)
//   MEGATRON    the same divided by top_k; 1 for each layer when balanced
//   HF_MIXTRAL  E * sum_i of both averaged over the layers first; top_k when
//               balanced, however many layers there are
at::Tensor BalanceLoss(lory::v1::TokenChoiceFeedForward::Balance balance,
                       int64_t top_k, std::span<const RouterLoad> layers);

// Sum of the layers' mean squared log partitions (arXiv 2202.08906).
at::Tensor ZLoss(std::span<const RouterLoad> layers);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_BALANCE_LOSS_H_
