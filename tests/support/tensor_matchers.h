#ifndef LORY_TESTS_SUPPORT_TENSOR_MATCHERS_H_
#define LORY_TESTS_SUPPORT_TENSOR_MATCHERS_H_

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <algorithm>

#include "gmock/gmock.h"

namespace lory::testing {

// Largest absolute difference of two tensors of one shape.
inline double LargestDifference(const at::Tensor& a, const at::Tensor& b) {
  return a.numel() == 0 ? 0 : (a - b).abs().max().item<double>();
}

// Same shape, and each number within `tolerance` times the largest of the
// expected ones, or of 1.
//
//   EXPECT_THAT(Merged(x), NearTensor(Reference(x), 1e-12));
MATCHER_P2(NearTensor, expected, tolerance, "") {
  if (arg.sizes() != expected.sizes()) {
    *result_listener << "another shape";
    return false;
  }
  const double scale =
      std::max(1.0, expected.abs().max().template item<double>());
  const double difference = LargestDifference(arg, expected) / scale;
  *result_listener << "largest relative difference " << difference;
  return difference <= tolerance;  // false for NaN
}

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_TENSOR_MATCHERS_H_
