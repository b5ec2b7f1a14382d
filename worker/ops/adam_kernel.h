#ifndef LORY_WORKER_OPS_ADAM_KERNEL_H_
#define LORY_WORKER_OPS_ADAM_KERNEL_H_

#include <cstdint>

#include "worker/ops/cpu_level.h"

namespace lory::ops {

// One AdamW update of `count` consecutive numbers, in fp32:
//   m = beta1 m + (1 - beta1) g        g = gradient * gradient_scale
//   v = beta2 v + (1 - beta2) g^2
//   x = x * (1 - rate * decay) - rate_m * m / (sqrt(v) * scale_v + epsilon)
// where rate_m = rate / (1 - beta1^t) and scale_v = 1 / sqrt(1 - beta2^t)
// correct for the zero start. Single-threaded; reads and writes each number
// once, because memory is what it waits for.
template <typename T>
struct AdamArguments {
  int64_t count;
  T* values;
  T* first_moments;
  T* second_moments;
  const T* gradients;
  T gradient_scale;
  T beta1;
  T beta2;
  T keep;  // 1 - rate * decay
  T rate_m;
  T scale_v;
  T epsilon;
};

LORY_DECLARE_KERNEL(AdamUpdate, AdamArguments)

// Sum of squares, in double.
template <typename T>
struct SquareArguments {
  int64_t count;
  const T* numbers;
  double* sum;
};
LORY_DECLARE_KERNEL(SumOfSquares, SquareArguments)

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_ADAM_KERNEL_H_
