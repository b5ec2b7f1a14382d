#include "worker/model/feed_forward.h"

#include "common/base/check.h"
#include "worker/model/dense_feed_forward.h"
#include "worker/model/lory_feed_forward.h"

namespace lory::model {

std::unique_ptr<FeedForward> MakeFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer) {
  switch (shape.feed_forward) {
    case lory::config::FeedForwardKind::kDense:
      return std::make_unique<DenseFeedForward>(parameters, layer);
    case lory::config::FeedForwardKind::kLory:
      return std::make_unique<LoryFeedForward>(shape, parameters, layer);
  }
  LORY_CHECK(false);
}

}  // namespace lory::model
