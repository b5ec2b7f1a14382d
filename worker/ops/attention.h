#ifndef LORY_WORKER_OPS_ATTENTION_H_
#define LORY_WORKER_OPS_ATTENTION_H_

#include <ATen/core/Tensor.h>

namespace lory::ops {

// Causal softmax attention, scaled by 1 / sqrt(K), by LibTorch's fused kernel.
// With fewer heads of keys and values (G) than of queries (H), head h reads
// head h G / H. Differentiable. Letters: worker/model/shapes.h.
//
//   query_BLHK, key_BLGK, value_BLGK  ->  BLHK
at::Tensor CausalAttention(const at::Tensor& query_BLHK,
                           const at::Tensor& key_BLGK,
                           const at::Tensor& value_BLGK);

// The same as the formula reads, with the whole matrix of scores: the oracle.
at::Tensor CausalAttentionReference(const at::Tensor& query_BLHK,
                                    const at::Tensor& key_BLGK,
                                    const at::Tensor& value_BLGK);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_ATTENTION_H_
