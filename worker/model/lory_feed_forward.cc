#include "worker/model/lory_feed_forward.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>

#include <algorithm>

#include "common/base/check.h"
#include "worker/model/segment_router.h"

namespace lory::model {

using ::lory::v1::LoryFeedForward_FirstSegment_LEARNED;
using ::lory::v1::LoryFeedForward_FirstSegment_SELF_STOP_GRADIENT;
using ::lory::v1::LoryFeedForward_FirstSegment_UNIFORM;

LoryRouter::LoryRouter(const lory::config::ModelShape& shape,
                       const ParameterStore& parameters, int64_t layer)
    : segment_length_(shape.segment_length),
      first_segment_(shape.feed_forward_spec.lory().first_segment()),
      router_ED_(LayerParameter(parameters, layer, lory::config::kRouter)) {
  if (first_segment_ == LoryFeedForward_FirstSegment_LEARNED) {
    first_segment_E_ =
        LayerParameter(parameters, layer, lory::config::kFirstSegment);
  }
}

at::Tensor LoryRouter::Weights(const at::Tensor& deciding_URD) const {
  return MeanRouting(deciding_URD, router_ED_);
}

at::Tensor LoryRouter::FirstWeights() const {
  switch (first_segment_) {
    case LoryFeedForward_FirstSegment_SELF_STOP_GRADIENT:
      return at::Tensor();
    case LoryFeedForward_FirstSegment_UNIFORM: {
      const int64_t E = router_ED_.size(0);
      return at::full({E}, 1.0 / static_cast<double>(E), router_ED_.options());
    }
    case LoryFeedForward_FirstSegment_LEARNED:
      return at::softmax(first_segment_E_, -1);
    default:
      LORY_CHECK(false);  // ResolveModelShape lets nothing else through
  }
}

LoryFeedForward::LoryFeedForward(const lory::config::ModelShape& shape,
                                 const ParameterStore& parameters,
                                 int64_t layer)
    : router_(shape, parameters, layer), experts_(parameters, layer) {}

FeedForwardResult LoryFeedForward::Forward(const at::Tensor& hidden_BLD,
                                           const Pass& pass) const {
  const int64_t length = hidden_BLD.size(1);
  const int64_t segment_length =
      pass.one_segment ? length : std::min(router_.unit().length, length);
  const at::Tensor first_E =
      pass.one_segment ? at::Tensor() : router_.FirstWeights();
  // The last segment's own routing is never used, so that what fills it up
  // reaches no routing weight.
  const int64_t missing =
      (segment_length - length % segment_length) % segment_length;
  const at::Tensor padded_BLD =
      missing == 0 ? hidden_BLD
                   : at::constant_pad_nd(hidden_BLD, {0, 0, 0, missing});
  const at::Tensor routing_BNE =
      first_E.defined()
          ? StrictlyCausalRouting(padded_BLD, router_.matrix_ED(),
                                  segment_length, first_E)
          : CausalRouting(padded_BLD, router_.matrix_ED(), segment_length,
                          pass.Deciding(segment_length));
  const at::Tensor out_BLD = experts_.Merged(padded_BLD, routing_BNE);
  // Under the other policies no router decided segment 0.
  const int64_t first = first_E.defined() ? 1 : 0;
  return {out_BLD.narrow(1, 0, length),
          routing_BNE.narrow(1, first, routing_BNE.size(1) - first)
              .flatten(0, 1)
              .detach(),
          {}};
}

}  // namespace lory::model
