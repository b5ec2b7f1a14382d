#ifndef LORY_WORKER_OPS_SWIGLU_KERNEL_H_
#define LORY_WORKER_OPS_SWIGLU_KERNEL_H_

#include <cstdint>

#include "worker/ops/cpu_level.h"

// CPU kernels of Swiglu, on plain memory. Single-threaded; T is float or
// double.
namespace lory::ops {

// The forward pass on rows of `columns` numbers, `stride` apart in all three.
template <typename T>
struct SwigluArguments {
  int64_t rows;
  int64_t columns;
  int64_t stride;
  const T* gate;
  const T* up;
  T* out;
};

// The backward pass on such rows; gradient_out is `gradient_stride` apart. Also
// gives the forward result, which the caller did not keep, unless out is null.
template <typename T>
struct SwigluGradientArguments {
  int64_t rows;
  int64_t columns;
  int64_t stride;
  const T* gate;
  const T* up;
  const T* gradient_out;
  int64_t gradient_stride;
  T* gradient_gate;
  T* gradient_up;
  T* out;
};

LORY_DECLARE_KERNEL(SwigluRows, SwigluArguments)
LORY_DECLARE_KERNEL(SwigluGradientRows, SwigluGradientArguments)

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_SWIGLU_KERNEL_H_
