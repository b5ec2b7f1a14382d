#include "worker/model/prefix_routing_feed_forward.h"

#include <ATen/ops/cat.h>

#include <algorithm>

#include "worker/model/segment_router.h"

namespace lory::model {

PrefixRoutingFeedForward::PrefixRoutingFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer)
    : segment_length_(shape.segment_length),
      router_ED_(LayerParameter(parameters, layer, lory::config::kRouter)),
      experts_(parameters, layer) {}

FeedForwardResult PrefixRoutingFeedForward::Forward(
    const at::Tensor& hidden_BLD, const Pass& pass) const {
  const int64_t length = hidden_BLD.size(1);
  const int64_t prefix = std::min(segment_length_, length);
  const at::Tensor prefix_BLD = hidden_BLD.narrow(1, 0, prefix);
  const int64_t deciding = pass.Deciding(prefix);
  const at::Tensor routing_B1E =
      OwnRouting(hidden_BLD.narrow(1, 0, deciding), router_ED_, deciding);
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
