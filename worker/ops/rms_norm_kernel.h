#ifndef LORY_WORKER_OPS_RMS_NORM_KERNEL_H_
#define LORY_WORKER_OPS_RMS_NORM_KERNEL_H_

#include <cstdint>

#include "worker/ops/cpu_level.h"

// CPU kernels of RmsNorm on consecutive rows of D numbers. Single-threaded; T
// is float or double.
namespace lory::ops {

// out = x * scale_R * weight_D, where scale_R[r] = 1 / rms of row r is given
// back for the backward pass.
template <typename T>
struct RmsNormArguments {
  int64_t rows;
  int64_t columns;
  const T* hidden_RD;
  const T* weight_D;
  T epsilon;
  T* out_RD;
  T* scale_R;
};

// Gradients; that of the weight is added to `to_weight_D`.
template <typename T>
struct RmsNormGradientArguments {
  int64_t rows;
  int64_t columns;
  const T* hidden_RD;
  const T* weight_D;
  const T* scale_R;
  const T* gradient_out_RD;
  T* to_hidden_RD;
  T* to_weight_D;
};

LORY_DECLARE_KERNEL(RmsNormRows, RmsNormArguments)
LORY_DECLARE_KERNEL(RmsNormGradientRows, RmsNormGradientArguments)

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_RMS_NORM_KERNEL_H_
