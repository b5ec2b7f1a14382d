#ifndef LORY_WORKER_TORCH_PRECOMPILED_H_
#define LORY_WORKER_TORCH_PRECOMPILED_H_

// What nearly every file that works with tensors includes and what takes
// longest to read: compiled once (lory_ops), reused by the other libraries and
// tests. Files still include what they use.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#endif  // LORY_WORKER_TORCH_PRECOMPILED_H_
