#ifndef LORY_WORKER_OPS_ROTARY_H_
#define LORY_WORKER_OPS_ROTARY_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

// Rotary positions (Su et al., arXiv 2104.09864) in the layout of Hugging
// Face's LLaMA: number i of a head is paired with number i + K/2, not with its
// neighbour. Letters: worker/model/shapes.h.
namespace lory::ops {

// Cosine and sine of position times frequency: each [L, K/2], of one type with
// the heads they rotate.
struct RotaryTable {
  at::Tensor cosine;
  at::Tensor sine;
};

// Positions 0 to length - 1, frequencies base^(-2 i / K). Computed in double,
// rounded once.
RotaryTable MakeRotaryTable(int64_t length, int64_t head_width, double base,
                            at::TensorOptions options);

// Turns each pair of each head by its position's angle. Differentiable in the
// heads; fp32 and fp64.
//
//   heads_BLHK, table of at least L positions  ->  BLHK
at::Tensor ApplyRotary(const at::Tensor& heads_BLHK, const RotaryTable& table);

// The same as Hugging Face writes it, on any device: the oracle.
at::Tensor ApplyRotaryReference(const at::Tensor& heads_BLHK,
                                const RotaryTable& table);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_ROTARY_H_
