#ifndef LORY_WORKER_OPS_SOFTMAX_KERNEL_H_
#define LORY_WORKER_OPS_SOFTMAX_KERNEL_H_

#include <cstdint>

#include "worker/ops/cpu_level.h"

namespace lory::ops {

// Loss of rows of logits, and their gradient. Single-threaded; T is float or
// double.
template <typename T>
struct SoftmaxLossArguments {
  int64_t rows;
  int64_t columns;
  // In: logits. Out: softmax minus one at the target; 0 where the target is
  // negative.
  T* logits_RV;
  const int64_t* targets_R;
  T* losses_R;  // 0 where the target is negative
};
LORY_DECLARE_KERNEL(SoftmaxLossRows, SoftmaxLossArguments)

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_SOFTMAX_KERNEL_H_
