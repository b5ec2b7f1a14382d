#ifndef LORY_WORKER_MODEL_EXPERT_CHOICE_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_EXPERT_CHOICE_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/model/expert_bank.h"
#include "worker/model/feed_forward.h"
#include "worker/model/router.h"

namespace lory::model {

// At inference: each token by itself, or each segment by the one before.
class ExpertChoiceRouter final : public Router {
 public:
  ExpertChoiceRouter(const lory::config::ModelShape& shape,
                     const ParameterStore& parameters, int64_t layer);

  // True for the round(c) best experts of each unit.
  at::Tensor Best(const at::Tensor& wishes_UE) const;

  RoutingUnit unit() const override;
  bool merges() const override { return false; }
  at::Tensor Weights(const at::Tensor& deciding_URD) const override;

  const at::Tensor& matrix_ED() const { return router_ED_; }

 private:
  lory::v1::ExpertChoiceFeedForward options_;
  at::Tensor router_ED_;
};

// Expert Choice (Zhou et al., arXiv 2202.09368; Lory, arXiv 2405.03133, section
// 5.3). A unit is a token or a segment of T tokens. In training each expert
// takes the units of its group that want it most, the share c / E of them
// rounded up; what comes out is the sum of the experts' outputs weighted with
// the unit's probabilities, which are not renormalised: a unit may have no
// expert or several. At inference each unit takes its round(c) best experts
// instead, with the same weights. Equal wishes: the lower unit or expert first.
//
// Segments are scored as Lory routes them: by the mean of the segment before,
// the first by its own, cut from the gradient.
//
// What moves when a token changes: in training any position of its group, for
// units compete. At inference its own position; by segments also the segment
// after its own, and of the first segment all of it.
class ExpertChoiceFeedForward final : public FeedForward {
 public:
  ExpertChoiceFeedForward(const lory::config::ModelShape& shape,
                          const ParameterStore& parameters, int64_t layer);

  FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                            const Pass& pass) const override;

 private:
  // How much each unit wants each expert; BNE, rows summing to one.
  at::Tensor Wishes(const at::Tensor& hidden_BLD, int64_t unit_length,
                    const Pass& pass) const;
  // Who takes what in training: true or false for each expert and each of all
  // B * N units.
  at::Tensor ExpertsChoose(const at::Tensor& wishes_BNE) const;

  lory::v1::ExpertChoiceFeedForward options_;
  ExpertChoiceRouter router_;
  ExpertBank experts_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_EXPERT_CHOICE_FEED_FORWARD_H_
