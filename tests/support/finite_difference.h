#ifndef LORY_TESTS_SUPPORT_FINITE_DIFFERENCE_H_
#define LORY_TESTS_SUPPORT_FINITE_DIFFERENCE_H_

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <functional>

namespace lory::testing {

// Gradient of a scalar function of `argument`, fp64 and contiguous, by central
// differences: knows nothing of any backward pass. `function` reads the
// argument by itself; the argument is left as it was.
inline at::Tensor FiniteDifference(const std::function<at::Tensor()>& function,
                                   const at::Tensor& argument,
                                   double step = 1e-5) {
  at::NoGradGuard no_grad;
  at::Tensor gradient = at::zeros_like(argument);
  double* const numbers = argument.mutable_data_ptr<double>();
  double* const slopes = gradient.mutable_data_ptr<double>();
  for (int64_t i = 0; i < argument.numel(); ++i) {
    const double before = numbers[i];
    numbers[i] = before + step;
    const double above = function().item<double>();
    numbers[i] = before - step;
    const double below = function().item<double>();
    numbers[i] = before;
    slopes[i] = (above - below) / (2 * step);
  }
  return gradient;
}

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_FINITE_DIFFERENCE_H_
