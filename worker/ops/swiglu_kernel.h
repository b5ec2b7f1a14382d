#ifndef LORY_WORKER_OPS_SWIGLU_KERNEL_H_
#define LORY_WORKER_OPS_SWIGLU_KERNEL_H_

#include <cstdint>

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

template <typename T>
void SwigluRows(const SwigluArguments<T>& arguments);
template <typename T>
void SwigluGradientRows(const SwigluGradientArguments<T>& arguments);

extern template void SwigluRows<float>(const SwigluArguments<float>&);
extern template void SwigluRows<double>(const SwigluArguments<double>&);
extern template void SwigluGradientRows<float>(
    const SwigluGradientArguments<float>&);
extern template void SwigluGradientRows<double>(
    const SwigluGradientArguments<double>&);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_SWIGLU_KERNEL_H_
