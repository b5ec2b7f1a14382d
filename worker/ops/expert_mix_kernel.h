#ifndef LORY_WORKER_OPS_EXPERT_MIX_KERNEL_H_
#define LORY_WORKER_OPS_EXPERT_MIX_KERNEL_H_

#include <cstdint>

#include "worker/ops/cpu_level.h"

// The arithmetic that experts add to a feed-forward: merging a block of their
// weights, and the two gradients of that.
//
// A block of every expert is first gathered into strips: [rows * columns /
// W][E] [W], W the panel width (worker/ops/panel_layout.h), rows filled up with
// zeros to W' columns, a multiple of W. Read in place, the same number of all
// experts lies at distances that are multiples of every cache's stride, and
// they throw each other out; in strips they are read in one sequence.
//
// T is float or double. All work on the calling thread.
namespace lory::ops {

// Block of expert e: `rows` rows of `columns` numbers, the first at experts +
// e * expert_stride, rows row_stride apart.
template <typename T>
struct GatherArguments {
  int64_t rows;
  int64_t columns;
  int64_t expert_count;
  const T* experts;
  int64_t expert_stride;
  int64_t row_stride;
  T* strips;
};
LORY_DECLARE_KERNEL(GatherExperts, GatherArguments)

// And back; added to what is there if `accumulate`.
template <typename T>
struct ScatterArguments {
  int64_t rows;
  int64_t columns;
  int64_t expert_count;
  const T* strips;
  T* experts;
  int64_t expert_stride;
  int64_t row_stride;
  bool accumulate;
};
LORY_DECLARE_KERNEL(ScatterExperts, ScatterArguments)

// merged block s = sum over e of routing[s * E + e] * expert e: blocks of
// strip_count * W consecutive numbers.
template <typename T>
struct MergeArguments {
  int64_t strip_count;
  int64_t expert_count;
  const T* strips;
  int64_t segment_count;
  const T* routing_SE;
  T* merged;
};
LORY_DECLARE_KERNEL(MergeExperts, MergeArguments)

// Backward of MergeExperts, from the gradient of the merged blocks:
//   gradient_strips(e) += sum over s of routing[s * E + e] * merged block s
//   to_routing[s * E + e] += <merged block s, expert e>
template <typename T>
struct MergeGradientArguments {
  int64_t strip_count;
  int64_t expert_count;
  const T* strips;
  T* gradient_strips;
  int64_t segment_count;
  const T* routing_SE;
  const T* merged;
  T* to_routing_SE;
};
LORY_DECLARE_KERNEL(MergeGradient, MergeGradientArguments)

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_EXPERT_MIX_KERNEL_H_
