#ifndef LORY_WORKER_MODEL_TOKEN_CHOICE_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_TOKEN_CHOICE_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <span>

#include "worker/model/expert_bank.h"
#include "worker/model/feed_forward.h"
#include "worker/model/router.h"

namespace lory::model {

// Each token by itself.
class TokenChoiceRouter final : public Router {
 public:
  // Of R tokens; K experts each, the best first.
  struct Choice {
    at::Tensor logits_RE;
    at::Tensor probability_RE;
    at::Tensor chosen_RK;
    at::Tensor weights_RK;
  };

  TokenChoiceRouter(const lory::config::ModelShape& shape,
                    const ParameterStore& parameters, int64_t layer);

  Choice Choose(const at::Tensor& rows_RD) const;

  RoutingUnit unit() const override { return {}; }
  bool merges() const override { return false; }
  at::Tensor Weights(const at::Tensor& deciding_URD) const override;

 private:
  lory::v1::TokenChoiceFeedForward options_;
  at::Tensor router_ED_;
};

// Every token goes through the top_k experts that its router prefers, and gets
// the weighted sum of their outputs (Mixtral, arXiv 2401.04088, section 2;
// Switch, arXiv 2101.03961). Dropless: experts take as many tokens as come.
// Equal preferences: the lower expert first.
//
// What moves when a token changes: its own position alone. The balance loss, of
// which training minimises a share, depends on all tokens of a micro-batch.
class TokenChoiceFeedForward final : public FeedForward {
 public:
  TokenChoiceFeedForward(const lory::config::ModelShape& shape,
                         const ParameterStore& parameters, int64_t layer);

  FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                            const Pass& pass) const override;

  // The balance and z-losses that the options name.
  at::Tensor AuxiliaryLoss(std::span<const RouterLoad> layers) const override;

 private:
  lory::v1::TokenChoiceFeedForward options_;
  TokenChoiceRouter router_;
  ExpertBank experts_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_TOKEN_CHOICE_FEED_FORWARD_H_
