#ifndef LORY_WORKER_MODEL_LORY_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_LORY_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/model/expert_bank.h"
#include "worker/model/feed_forward.h"
#include "worker/model/router.h"

namespace lory::model {

// Segments by the mean of the one before, the first by its policy.
class LoryRouter final : public Router {
 public:
  LoryRouter(const lory::config::ModelShape& shape,
             const ParameterStore& parameters, int64_t layer);

  RoutingUnit unit() const override {
    return {RoutingUnit::Kind::kSegment, segment_length_};
  }
  RoutingUnit PromptUnit() const override {
    return {RoutingUnit::Kind::kText, 0};
  }
  bool merges() const override { return true; }
  at::Tensor Weights(const at::Tensor& deciding_URD) const override;
  at::Tensor FirstWeights() const override;

  const at::Tensor& matrix_ED() const { return router_ED_; }

 private:
  using FirstSegment = lory::v1::LoryFeedForward::FirstSegment;

  int64_t segment_length_;
  FirstSegment first_segment_;
  at::Tensor router_ED_;
  at::Tensor first_segment_E_;  // LEARNED only
};

// Experts merged in parameter space for each segment, routed by the segment
// before (Lory, arXiv 2405.03133, section 3). Each layer has its own router,
// which sees what the feed-forward sees.
//
// A sequence may end in a part of a segment: it is routed like a whole one. A
// sequence shorter than a segment is one segment.
class LoryFeedForward final : public FeedForward {
 public:
  LoryFeedForward(const lory::config::ModelShape& shape,
                  const ParameterStore& parameters, int64_t layer);

  FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                            const Pass& pass) const override;

 private:
  LoryRouter router_;
  ExpertBank experts_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_LORY_FEED_FORWARD_H_
