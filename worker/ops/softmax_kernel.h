#ifndef LORY_WORKER_OPS_SOFTMAX_KERNEL_H_
#define LORY_WORKER_OPS_SOFTMAX_KERNEL_H_

#include <cstdint>

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
template <typename T>
void SoftmaxLossRows(const SoftmaxLossArguments<T>& arguments);

extern template void SoftmaxLossRows<float>(const SoftmaxLossArguments<float>&);
extern template void SoftmaxLossRows<double>(
    const SoftmaxLossArguments<double>&);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_SOFTMAX_KERNEL_H_
