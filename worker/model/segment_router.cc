#include "worker/model/segment_router.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

namespace lory::model {
namespace {

// first_B1E before the routing that all segments but the last ask for: those
// weights are used one segment later.
at::Tensor Shifted(const at::Tensor& first_B1E, const at::Tensor& own_BNE) {
  return at::cat({first_B1E, own_BNE.narrow(1, 0, own_BNE.size(1) - 1)}, 1);
}

}  // namespace

at::Tensor SegmentMeans(const at::Tensor& hidden_BLD, int64_t segment_length) {
  TORCH_CHECK(hidden_BLD.size(1) % segment_length == 0, "sequence of ",
              hidden_BLD.size(1), " tokens is no multiple of the segment of ",
              segment_length);
  return hidden_BLD.unflatten(1, {-1, segment_length}).mean(2);
}

at::Tensor OwnRouting(const at::Tensor& hidden_BLD, const at::Tensor& router_ED,
                      int64_t segment_length) {
  const at::Tensor means_BND = SegmentMeans(hidden_BLD, segment_length);
  return at::softmax(at::matmul(means_BND, router_ED.t()), -1);
}

at::Tensor MeanRouting(const at::Tensor& hidden_URD,
                       const at::Tensor& router_ED) {
  return OwnRouting(hidden_URD, router_ED, hidden_URD.size(1)).squeeze(1);
}

at::Tensor CausalRouting(const at::Tensor& hidden_BLD,
                         const at::Tensor& router_ED, int64_t segment_length,
                         int64_t first_count) {
  const at::Tensor own_BNE = OwnRouting(hidden_BLD, router_ED, segment_length);
  if (first_count == segment_length) {
    return Shifted(own_BNE.narrow(1, 0, 1).detach(), own_BNE);
  }
  return Shifted(
      OwnRouting(hidden_BLD.narrow(1, 0, first_count), router_ED, first_count)
          .detach(),
      own_BNE);
}

at::Tensor CausalRouting(const at::Tensor& hidden_BLD,
                         const at::Tensor& router_ED, int64_t segment_length) {
  return CausalRouting(hidden_BLD, router_ED, segment_length, segment_length);
}

at::Tensor StrictlyCausalRouting(const at::Tensor& hidden_BLD,
                                 const at::Tensor& router_ED,
                                 int64_t segment_length,
                                 const at::Tensor& first_E) {
  const at::Tensor own_BNE = OwnRouting(hidden_BLD, router_ED, segment_length);
  return Shifted(first_E.expand({hidden_BLD.size(0), 1, -1}), own_BNE);
}

}  // namespace lory::model
