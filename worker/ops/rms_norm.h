#ifndef LORY_WORKER_OPS_RMS_NORM_H_
#define LORY_WORKER_OPS_RMS_NORM_H_

#include <ATen/core/Tensor.h>

namespace lory::ops {

// RMSNorm (Zhang and Sennrich, arXiv 1910.07467) over the last dimension:
// x / sqrt(mean(x^2) + epsilon) * weight. Differentiable; fp32 and fp64.
// Letters: worker/model/shapes.h.
//
//   hidden of any shape that ends in D, weight_D  ->  shape of hidden
//
// Keeps its input and one number a row. Results do not depend on the thread
// count.
at::Tensor RmsNorm(const at::Tensor& hidden, const at::Tensor& weight_D,
                   double epsilon);

// The same as readable arithmetic, on any device: the oracle.
at::Tensor RmsNormReference(const at::Tensor& hidden,
                            const at::Tensor& weight_D, double epsilon);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_RMS_NORM_H_
