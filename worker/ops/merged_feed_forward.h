#ifndef LORY_WORKER_OPS_MERGED_FEED_FORWARD_H_
#define LORY_WORKER_OPS_MERGED_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

// The Lory operation: each segment of T tokens goes through one SwiGLU
// feed-forward whose three matrices are the routing-weighted sums of all
// experts' (Lory, arXiv 2405.03133, equation 3). Not a mixture of outputs: the
// feed-forward is not linear. Letters: worker/model/shapes.h.
namespace lory::ops {

// Differentiable in all five arguments; fp32 and fp64.
//
//   hidden_BLD    L a multiple of N
//   routing_BNE   weights of each segment; need not sum to one
//   gate_EFD, up_EFD, down_EDF
//   ->  BLD
//
// Merged weights exist a cache-sized block at a time and are never kept: the
// backward pass merges again. What is kept are the input and the two inner
// activations, 2 F numbers a token. On the CPU blocks are of fixed size and
// owned by one thread each, so results do not depend on the thread count. Other
// devices take the reference.
//
// On the CPU, when gate, up and down are leaves that all have a gradient
// already, backward() adds theirs to it a block at a time: no second copy of
// the experts' size is made. torch::autograd::grad() of such leaves is
// undefined, therefore; of leaves without a gradient it is as ever.
at::Tensor MergedFeedForward(const at::Tensor& hidden_BLD,
                             const at::Tensor& routing_BNE,
                             const at::Tensor& gate_EFD,
                             const at::Tensor& up_EFD,
                             const at::Tensor& down_EDF);

// The same, as the equations read, differentiated by autograd: the oracle.
// Holds the merged weights of every segment.
at::Tensor MergedFeedForwardReference(const at::Tensor& hidden_BLD,
                                      const at::Tensor& routing_BNE,
                                      const at::Tensor& gate_EFD,
                                      const at::Tensor& up_EFD,
                                      const at::Tensor& down_EDF);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_MERGED_FEED_FORWARD_H_
