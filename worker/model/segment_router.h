#ifndef LORY_WORKER_MODEL_SEGMENT_ROUTER_H_
#define LORY_WORKER_MODEL_SEGMENT_ROUTER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

// Causal segment routing: which mixture of experts each segment is given.
// Lory, arXiv 2405.03133, section 3.1 and algorithm 1. Functions are stateless
// and differentiable. Letters: worker/model/shapes.h.
namespace lory::model {

// Mean over the tokens of each segment.
//   hidden_BLD, L a multiple of segment_length  ->  BND
at::Tensor SegmentMeans(const at::Tensor& hidden_BLD, int64_t segment_length);

// Routing weights that each segment's own tokens ask for: softmax of the
// router's logits at its mean.
//   hidden_BLD, router_ED  ->  BNE, each row summing to one
at::Tensor OwnRouting(const at::Tensor& hidden_BLD, const at::Tensor& router_ED,
                      int64_t segment_length);

// The same, of units that each have R tokens: hidden_URD  ->  UE
at::Tensor MeanRouting(const at::Tensor& hidden_URD,
                       const at::Tensor& router_ED);

// Routing weights of every segment, each row summing to one.
//
// Segment n > 0 is routed by the mean of segment n - 1, so nothing a token can
// see depends on its future. Segment 0 has no past and is routed by its own
// mean; its weights are cut from the graph, so that the router cannot learn to
// use what leaks there. (In the forward pass the leak remains: tokens of
// segment 0 do see a mixture that depends on all of segment 0.)
//
//   hidden_BLD  input of the feed-forward block, after its norm
//   router_ED   one row of logits weights per expert
//   first_count tokens of segment 0, from the first, that route it
//   ->  BNE
at::Tensor CausalRouting(const at::Tensor& hidden_BLD,
                         const at::Tensor& router_ED, int64_t segment_length,
                         int64_t first_count);

// The same, with the whole of segment 0.
at::Tensor CausalRouting(const at::Tensor& hidden_BLD,
                         const at::Tensor& router_ED, int64_t segment_length);

// The same, strictly causal: segment 0 of every sequence gets `first_E`
// instead, weights that depend on no token. Its gradient is kept.
at::Tensor StrictlyCausalRouting(const at::Tensor& hidden_BLD,
                                 const at::Tensor& router_ED,
                                 int64_t segment_length,
                                 const at::Tensor& first_E);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_SEGMENT_ROUTER_H_
