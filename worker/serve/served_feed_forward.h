#ifndef LORY_WORKER_SERVE_SERVED_FEED_FORWARD_H_
#define LORY_WORKER_SERVE_SERVED_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "worker/model/router.h"
#include "worker/serve/generation_request.h"
#include "worker/serve/merged_cache.h"
#include "worker/serve/served_model.h"

namespace lory::serve {

// What one layer's feed-forward remembers of a text. Owned by the text's
// SequenceState; changed by ServedFeedForward alone.
struct FeedForwardState {
  // What the newest token was given: merged experts, a dense model's weights,
  // or the weights of experts' outputs. Of routing by tokens neither.
  SharedWeights weights;
  at::Tensor mixed_X;
  // Sum of the tokens of the newest segment so far, where segments are routed.
  at::Tensor segment_sum_D;
  // Outputs of the slots that the prompt filled, where experts have slots.
  at::Tensor slots_XD;
};

// What a decision needs to know of a text.
struct ReadOptions {
  Inference inference = Inference::kPrompt;
  // Tokens, from the first, that decide where others would look ahead.
  int64_t routed_count = 0;
};

// The next token of a text, for one layer.
struct FeedForwardStep {
  Inference inference = Inference::kPrompt;
  int64_t position = 0;
  FeedForwardState* state = nullptr;
};

// The feed-forwards of a served model. What a token is given, the variant's
// model::Router says; here experts are merged or asked one by one, and what
// texts share is computed together. No variant is named here.
//
// Thread-compatible. All throw c10::Error; call them under a NoGradGuard.
// Letters: worker/model/shapes.h.
class ServedFeedForward {
 public:
  // Both must outlive it.
  ServedFeedForward(const ServedModel& model, MergedCache& cache)
      : model_(model), cache_(cache) {}

  // All tokens of a prompt, normed, into a fresh state. `weights_UX` becomes
  // what the router gave each unit; undefined for a dense model.
  at::Tensor Read(const at::Tensor& normed_LD, int64_t layer,
                  const ReadOptions& options, FeedForwardState& state,
                  at::Tensor& weights_UX);

  // One token more of each text; row i is of step i.
  at::Tensor Step(const at::Tensor& normed_BD, int64_t layer,
                  std::span<const FeedForwardStep> steps);

  // Each expert's share in what each unit of a prompt of `length` tokens was
  // given, as Read told it; with kPrompt one row, the mean over tokens.
  at::Tensor Shares(const at::Tensor& weights_UX, int64_t layer, int64_t length,
                    Inference inference) const;

 private:
  model::RoutingUnit UnitOf(Inference inference) const;

  at::Tensor ReadSegments(const at::Tensor& normed_LD, int64_t layer,
                          const ReadOptions& options, FeedForwardState& state,
                          at::Tensor& weights_UX);
  // Step where each token decides for itself.
  at::Tensor StepTokens(const at::Tensor& normed_BD, int64_t layer,
                        std::span<const FeedForwardStep> steps);
  // Gives a text what `weights_X` say, until it is given something else;
  // `passing`: only for the moment, and no later text is thought of.
  void Give(int64_t layer, const at::Tensor& weights_X, bool passing,
            FeedForwardState& state);
  // What the text's tokens become by what it was given.
  at::Tensor Apply(int64_t layer, const at::Tensor& rows_RD,
                   const FeedForwardState& state) const;
  // Each row through the experts that have a weight for it.
  at::Tensor Mix(int64_t layer, const at::Tensor& rows_RD,
                 const at::Tensor& weights_RE) const;
  // What experts make of the mixtures in their slots.
  at::Tensor OfSlots(int64_t layer, const at::Tensor& tokens_XD) const;
  // Gives a text whose next token begins a segment what the one before says.
  void TurnSegment(int64_t layer, int64_t segment_length,
                   FeedForwardState& state);

  const ServedModel& model_;
  MergedCache& cache_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_SERVED_FEED_FORWARD_H_
