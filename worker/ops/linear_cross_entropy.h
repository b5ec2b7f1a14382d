#ifndef LORY_WORKER_OPS_LINEAR_CROSS_ENTROPY_H_
#define LORY_WORKER_OPS_LINEAR_CROSS_ENTROPY_H_

#include <ATen/core/Tensor.h>

namespace lory::ops {

// Sum over rows of the cross-entropy, in nats, between softmax(hidden head^T)
// and the target: the head of the model and its loss in one. Differentiable in
// hidden and head; fp32 and fp64. Rows with a negative target count nothing.
// Letters: worker/model/shapes.h.
//
//   hidden_RD, head_VD, targets_R (int64, below V)  ->  scalar
//
// Logits exist a few hundred rows at a time, once: their gradient replaces them
// in place and is used at once, in the forward pass, because both gradients are
// linear in that of the sum. The backward pass only scales.
at::Tensor LinearCrossEntropy(const at::Tensor& hidden_RD,
                              const at::Tensor& head_VD,
                              const at::Tensor& targets_R);

// The loss of every row, for evaluation: no gradient. As many logits at a time.
//
//   hidden_RD, head_VD, targets_R  ->  losses_R in the type of hidden; 0 where
//   the target is negative
at::Tensor LinearCrossEntropyOfRows(const at::Tensor& hidden_RD,
                                    const at::Tensor& head_VD,
                                    const at::Tensor& targets_R);

// The sum by LibTorch's cross-entropy on all logits: the oracle.
at::Tensor LinearCrossEntropyReference(const at::Tensor& hidden_RD,
                                       const at::Tensor& head_VD,
                                       const at::Tensor& targets_R);

// Sum over rows of the entropy, in nats, of softmax(hidden head^T): what
// test-time adaptation makes small. Differentiable in hidden alone; fp32 and
// fp64. Logits exist a few hundred rows at a time.
//
//   hidden_RD, head_VD  ->  scalar
at::Tensor LinearEntropy(const at::Tensor& hidden_RD,
                         const at::Tensor& head_VD);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_LINEAR_CROSS_ENTROPY_H_
