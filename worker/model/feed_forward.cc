#include "worker/model/feed_forward.h"

#include "common/base/check.h"
#include "worker/model/dense_feed_forward.h"
#include "worker/model/expert_choice_feed_forward.h"
#include "worker/model/lory_feed_forward.h"
#include "worker/model/prefix_routing_feed_forward.h"
#include "worker/model/smear_feed_forward.h"
#include "worker/model/soft_moe_feed_forward.h"
#include "worker/model/token_choice_feed_forward.h"
#include "worker/model/weight_ensembling_feed_forward.h"

namespace lory::model {

using ::lory::config::FeedForwardKind;

at::Tensor FeedForward::AuxiliaryLoss(std::span<const RouterLoad>) const {
  return at::Tensor();
}

std::unique_ptr<FeedForward> MakeFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer) {
  switch (shape.feed_forward) {
    case FeedForwardKind::kDense:
      return std::make_unique<DenseFeedForward>(parameters, layer);
    case FeedForwardKind::kLory:
      return std::make_unique<LoryFeedForward>(shape, parameters, layer);
    case FeedForwardKind::kPrefixRouting:
      return std::make_unique<PrefixRoutingFeedForward>(shape, parameters,
                                                        layer);
    case FeedForwardKind::kTokenChoice:
      return std::make_unique<TokenChoiceFeedForward>(shape, parameters, layer);
    case FeedForwardKind::kExpertChoice:
      return std::make_unique<ExpertChoiceFeedForward>(shape, parameters,
                                                       layer);
    case FeedForwardKind::kSmear:
      return std::make_unique<SmearFeedForward>(shape, parameters, layer);
    case FeedForwardKind::kSoftMoe:
      return std::make_unique<SoftMoeFeedForward>(shape, parameters, layer);
    case FeedForwardKind::kWeightEnsembling:
      return std::make_unique<WeightEnsemblingFeedForward>(shape, parameters,
                                                           layer);
    default:
      LORY_CHECK(false);  // ResolveModelShape lets nothing else through
  }
}

}  // namespace lory::model
