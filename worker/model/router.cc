#include "worker/model/router.h"

#include <ATen/TensorOperators.h>

#include "worker/model/expert_choice_feed_forward.h"
#include "worker/model/lory_feed_forward.h"
#include "worker/model/prefix_routing_feed_forward.h"
#include "worker/model/smear_feed_forward.h"
#include "worker/model/soft_moe_feed_forward.h"
#include "worker/model/token_choice_feed_forward.h"
#include "worker/model/weight_ensembling_feed_forward.h"

namespace lory::model {

using ::lory::config::FeedForwardKind;

at::Tensor Router::Shares(const at::Tensor& weights_UX) const {
  const at::Tensor total_U1 = weights_UX.sum(-1, /*keepdim=*/true);
  return weights_UX / total_U1.masked_fill(total_U1 == 0, 1);
}

std::unique_ptr<Router> MakeRouter(const lory::config::ModelShape& shape,
                                   const ParameterStore& parameters,
                                   int64_t layer) {
  switch (shape.feed_forward) {
    case FeedForwardKind::kLory:
      return std::make_unique<LoryRouter>(shape, parameters, layer);
    case FeedForwardKind::kPrefixRouting:
      return std::make_unique<PrefixRouter>(shape, parameters, layer);
    case FeedForwardKind::kTokenChoice:
      return std::make_unique<TokenChoiceRouter>(shape, parameters, layer);
    case FeedForwardKind::kExpertChoice:
      return std::make_unique<ExpertChoiceRouter>(shape, parameters, layer);
    case FeedForwardKind::kSmear:
      return std::make_unique<SmearRouter>(shape, parameters, layer);
    case FeedForwardKind::kSoftMoe:
      return std::make_unique<SoftMoeRouter>(shape, parameters, layer);
    case FeedForwardKind::kWeightEnsembling:
      return std::make_unique<WeightEnsemblingRouter>(shape, parameters, layer);
    default:
      return nullptr;
  }
}

}  // namespace lory::model
