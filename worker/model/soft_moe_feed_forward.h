#ifndef LORY_WORKER_MODEL_SOFT_MOE_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_SOFT_MOE_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/model/expert_bank.h"
#include "worker/model/feed_forward.h"
#include "worker/model/router.h"

namespace lory::model {

// What is in the slots, P of each expert, and what each token gets of their
// outputs. S are the slots of all experts, E P.
class SoftMoeRouter final : public Router {
 public:
  SoftMoeRouter(const lory::config::ModelShape& shape,
                const ParameterStore& parameters, int64_t layer);

  // How well each token, of whatever leading sizes, fits each slot.
  at::Tensor Logits(const at::Tensor& tokens_D) const;

  // A mixture of a sequence's tokens for each slot: logits_BLS -> BSD.
  static at::Tensor Mixtures(const at::Tensor& logits_BLS,
                             const at::Tensor& tokens_BLD);

  // Each token decides alone what it gets; what is there to get, FillSlots.
  RoutingUnit unit() const override { return {}; }
  bool merges() const override { return false; }
  bool has_slots() const override { return true; }
  at::Tensor Weights(const at::Tensor& deciding_U1D) const override;
  FilledSlots FillSlots(const at::Tensor& tokens_LD,
                        int64_t filling) const override;
  at::Tensor Shares(const at::Tensor& weights_US) const override;

 private:
  at::Tensor slots_EPD_;
  at::Tensor scale_1_;
};

// Soft MoE (Puigcerver et al., arXiv 2308.00951, algorithm 1). Each expert has
// P slots, each a mixture of all tokens of a sequence; each token gets a
// mixture of all slots' outputs. Both mixtures are softmaxes of one table of
// logits: of normed tokens with normed slot parameters times a learned scale.
//
// What moves when a token changes: every position of its sequence. Not causal:
// a model of it fits in the middle of a text, or reads one, and predicts no
// next token honestly. ResolveModelShape refuses it unless the spec says that
// this is known. With Pass::prompt_length the prompt's tokens alone fill the
// slots: what follows them is then read from left to right.
class SoftMoeFeedForward final : public FeedForward {
 public:
  SoftMoeFeedForward(const lory::config::ModelShape& shape,
                     const ParameterStore& parameters, int64_t layer);

  FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                            const Pass& pass) const override;

 private:
  SoftMoeRouter router_;
  int64_t slots_per_expert_;
  ExpertBank experts_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_SOFT_MOE_FEED_FORWARD_H_
