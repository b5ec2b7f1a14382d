#ifndef LORY_WORKER_OPS_SWIGLU_H_
#define LORY_WORKER_OPS_SWIGLU_H_

#include <ATen/core/Tensor.h>

// SwiGLU (Shazeer, arXiv 2002.05202): silu(gate) * up, element by element,
// with silu(x) = x / (1 + e^-x). Letters: worker/model/shapes.h.
namespace lory::ops {

// Differentiable; any shape, the same for both. fp32 and fp64.
at::Tensor Swiglu(const at::Tensor& gate, const at::Tensor& up);

// The same as readable arithmetic, on any device: the oracle.
at::Tensor SwigluReference(const at::Tensor& gate, const at::Tensor& up);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_SWIGLU_H_
