#include "worker/model/prefix_routing_feed_forward.h"

#include <ATen/ops/cat.h>

#include "worker/model/segment_router.h"

namespace lory::model {

PrefixRouter::PrefixRouter(const lory::config::ModelShape& shape,
                           const ParameterStore& parameters, int64_t layer)
    : segment_length_(shape.segment_length),
      router_ED_(LayerParameter(parameters, layer, lory::config::kRouter)) {}

at::Tensor PrefixRouter::Weights(const at::Tensor& deciding_URD) const {
  return MeanRouting(deciding_URD, router_ED_);
}

PrefixRoutingFeedForward::PrefixRoutingFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer)
    : router_(shape, parameters, layer), experts_(parameters, layer) {}

FeedForwardResult PrefixRoutingFeedForward::Forward(
    const at::Tensor& hidden_BLD, const Pass& pass) const {
  const int64_t length = hidden_BLD.size(1);
  const int64_t prefix = router_.unit().Deciding(length);
  const at::Tensor prefix_BLD = hidden_BLD.narrow(1, 0, prefix);
  const at::Tensor routing_B1E =
      router_.Weights(hidden_BLD.narrow(1, 0, pass.Deciding(prefix)))
          .unsqueeze(1);
  at::Tensor out_BLD =
      experts_.Merged(prefix_BLD.contiguous(), routing_B1E.detach());
  if (prefix < length) {
    const at::Tensor rest_BLD =
        hidden_BLD.narrow(1, prefix, length - prefix).contiguous();
    out_BLD = at::cat({out_BLD, experts_.Merged(rest_BLD, routing_B1E)}, 1);
  }
  return {out_BLD, routing_B1E.detach().squeeze(1), {}};
}

}  // namespace lory::model
