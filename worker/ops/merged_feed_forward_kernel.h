#ifndef LORY_WORKER_OPS_MERGED_FEED_FORWARD_KERNEL_H_
#define LORY_WORKER_OPS_MERGED_FEED_FORWARD_KERNEL_H_

#include <cstdint>

#include "worker/ops/panel_layout.h"

// The CPU passes of MergedFeedForward, on plain contiguous memory. They use
// LibTorch's threads. T is float or double.
namespace lory::ops {

// Segments, tokens of each, and the sizes of an expert.
struct MergedSizes {
  int64_t S;
  int64_t T;
  int64_t D;
  int64_t F;
  int64_t E;

  // Numbers of the token panels of all segments, for C columns.
  template <typename Scalar>
  int64_t TokenPanelSize(int64_t columns) const {
    const int64_t width = PanelWidth<Scalar>();
    return S * PanelCount(T, width) * width * columns;
  }
};

template <typename T>
struct MergedInputs {
  const T* hidden_STD;
  const T* routing_SE;
  const T* gate_EFD;
  const T* up_EFD;
  const T* down_EDF;
};

// Fills all of them: the result, and the inner activations that the backward
// pass needs, which are in token panels of TokenPanelSize(F) numbers each.
template <typename T>
struct MergedForwardOutputs {
  T* gate_panels;
  T* up_panels;
  T* out_STD;
};
template <typename T>
void MergedForward(const MergedSizes& sizes, const MergedInputs<T>& inputs,
                   const MergedForwardOutputs<T>& outputs);

template <typename T>
struct MergedBackwardInputs {
  MergedInputs<T> forward;
  const T* gate_panels;
  const T* up_panels;
  const T* gradient_out_STD;
};
// Fills the first two; the experts', too, or adds to what is there.
template <typename T>
struct MergedGradients {
  T* hidden_STD;
  T* routing_SE;
  T* gate_EFD;
  T* up_EFD;
  T* down_EDF;
  bool accumulate_experts;
};
template <typename T>
void MergedBackward(const MergedSizes& sizes,
                    const MergedBackwardInputs<T>& inputs,
                    const MergedGradients<T>& gradients);

extern template void MergedForward<float>(const MergedSizes&,
                                          const MergedInputs<float>&,
                                          const MergedForwardOutputs<float>&);
extern template void MergedForward<double>(const MergedSizes&,
                                           const MergedInputs<double>&,
                                           const MergedForwardOutputs<double>&);
extern template void MergedBackward<float>(const MergedSizes&,
                                           const MergedBackwardInputs<float>&,
                                           const MergedGradients<float>&);
extern template void MergedBackward<double>(const MergedSizes&,
                                            const MergedBackwardInputs<double>&,
                                            const MergedGradients<double>&);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_MERGED_FEED_FORWARD_KERNEL_H_
