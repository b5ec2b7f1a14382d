#ifndef LORY_WORKER_SERVE_DECODER_H_
#define LORY_WORKER_SERVE_DECODER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "worker/serve/merged_cache.h"
#include "worker/serve/served_feed_forward.h"
#include "worker/serve/served_model.h"

namespace lory::serve {

// What the model remembers of one text. Owned by the request; changed by
// Decoder alone.
struct SequenceState {
  struct Layer {
    at::Tensor keys_GLK;    // room for all tokens the text may have
    at::Tensor values_GLK;  // the same
    FeedForwardState feed_forward;
  };

  Inference inference = Inference::kPrompt;
  int64_t length = 0;  // tokens seen
  std::vector<Layer> layers;
};

// What reading a prompt leaves beside the state.
struct PromptPass {
  at::Tensor hidden_LD;  // last hidden state of each token, after its norm
  // What each layer's router gave each unit of the text, UX; empty without
  // experts.
  std::vector<at::Tensor> weights;
};

// The model token by token. Over the same tokens its logits are those of
// model::Transformer up to rounding; of a Lory model with kPrompt those of the
// model merged under the prompt's routing. Where a first segment or a pool of
// tokens looks ahead, a prompt that is shorter decides alone, as the rest is
// not there yet: model::Pass::prompt_length.
//
// Thread-compatible. All throw c10::Error; call them under a NoGradGuard.
// Letters: worker/model/shapes.h.
class Decoder {
 public:
  // Both must outlive the decoder.
  Decoder(const ServedModel& model, MergedCache& cache);

  // Reads `tokens` into a fresh state with room for `capacity` tokens. Of those
  // that would decide for tokens before them, the first `routed_count` do.
  PromptPass ReadPrompt(std::span<const int64_t> tokens, int64_t routed_count,
                        Inference inference, int64_t capacity,
                        SequenceState& state);

  // One token more for each text: logits of the next, one row a text.
  at::Tensor Step(std::span<SequenceState* const> states,
                  std::span<const int64_t> tokens);

  // Logits of the next token after each row of PromptPass::hidden_LD.
  at::Tensor Logits(const at::Tensor& hidden_RD) const;

  // Each expert's share in each unit of a prompt, layer by layer; with kPrompt
  // in all of it. Empty without experts.
  std::vector<std::vector<Routing>> RoutingOf(const PromptPass& pass,
                                              Inference inference) const;

 private:
  at::Tensor ReadAttention(const at::Tensor& hidden_LD, int64_t layer,
                           SequenceState::Layer& state) const;
  at::Tensor StepAttention(const at::Tensor& hidden_BD, int64_t layer,
                           const lory::ops::RotaryTable& rotary,
                           std::span<SequenceState* const> states) const;

  const ServedModel& model_;
  ServedFeedForward feed_forward_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_DECODER_H_
