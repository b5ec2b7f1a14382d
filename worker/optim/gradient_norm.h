#ifndef LORY_WORKER_OPTIM_GRADIENT_NORM_H_
#define LORY_WORKER_OPTIM_GRADIENT_NORM_H_

#include <ATen/core/Tensor.h>

namespace lory::optim {

// Euclidean norm of a flat fp32 buffer. Summed in double over blocks of fixed
// size, so that the result depends on the numbers only, not on the number of
// threads. Not finite if any number is not.
double GradientNorm(const at::Tensor& flat);

// Factor that brings a gradient of `norm` down to `clip_norm`, as
// config::ResolveOptimizer gives it: 1 for a smaller one, and always 1 where
// clip_norm is 0. The norm must be finite.
double ClipScale(double norm, double clip_norm);

}  // namespace lory::optim

#endif  // LORY_WORKER_OPTIM_GRADIENT_NORM_H_
