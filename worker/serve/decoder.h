#ifndef LORY_WORKER_SERVE_DECODER_H_
#define LORY_WORKER_SERVE_DECODER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "worker/serve/merged_cache.h"
#include "worker/serve/served_model.h"

namespace lory::serve {

// How experts are merged.
enum class Inference {
  kPrompt,   // once, by the mean over the prompt; then the model is dense
  kSegment,  // anew for each segment, by the one before, as in training
};

// What the model remembers of one text. Owned by the request; changed by
// Decoder alone.
struct SequenceState {
  struct Layer {
    at::Tensor keys_GLK;       // room for all tokens the text may have
    at::Tensor values_GLK;     // the same
    SharedWeights weights;     // of the newest token's segment
    at::Tensor segment_sum_D;  // of the tokens of that segment so far, kSegment
  };

  Inference inference = Inference::kPrompt;
  int64_t length = 0;  // tokens seen
  std::vector<Layer> layers;
};

// What reading a prompt leaves beside the state.
struct PromptPass {
  at::Tensor hidden_LD;  // last hidden state of each token, after its norm
  // Of each layer and segment (kPrompt: one segment); empty without experts.
  std::vector<std::vector<Routing>> routing;
};

// The model token by token. Over the same tokens its logits are those of
// model::Transformer::Logits up to rounding: of the whole model (kSegment), of
// the model merged under the prompt's routing (kPrompt). One freedom is taken:
// with a first segment that its own mean routes, a prompt shorter than that
// segment decides for the rest of it, as the rest is not there yet.
//
// Thread-compatible. All throw c10::Error; call them under a NoGradGuard.
// Letters: worker/model/shapes.h.
class Decoder {
 public:
  // Both must outlive the decoder.
  Decoder(const ServedModel& model, MergedCache& cache);

  // Reads `tokens` into a fresh state with room for `capacity` tokens. With
  // kPrompt the first `routed_count` of them decide the routing.
  PromptPass ReadPrompt(std::span<const int64_t> tokens, int64_t routed_count,
                        Inference inference, int64_t capacity,
                        SequenceState& state);

  // One token more for each text: logits of the next, one row a text.
  at::Tensor Step(std::span<SequenceState* const> states,
                  std::span<const int64_t> tokens);

  // Logits of the next token after each row of PromptPass::hidden_LD.
  at::Tensor Logits(const at::Tensor& hidden_RD) const;

 private:
  at::Tensor ReadAttention(const at::Tensor& hidden_LD, int64_t layer,
                           SequenceState::Layer& state) const;
  at::Tensor ReadFeedForward(const at::Tensor& normed_LD, int64_t layer,
                             int64_t routed_count, Inference inference,
                             SequenceState::Layer& state,
                             std::vector<Routing>& routing);
  at::Tensor ReadSegments(const at::Tensor& normed_LD, int64_t layer,
                          SequenceState::Layer& state,
                          std::vector<Routing>& routing);
  Routing RoutingOf(const at::Tensor& mean_D, int64_t layer) const;

  at::Tensor StepAttention(const at::Tensor& hidden_BD, int64_t layer,
                           const lory::ops::RotaryTable& rotary,
                           std::span<SequenceState* const> states) const;
  at::Tensor StepFeedForward(const at::Tensor& normed_BD, int64_t layer,
                             std::span<SequenceState* const> states);
  // Of a text whose next token begins a segment: that segment's weights.
  void TurnSegment(int64_t layer, SequenceState& state);

  const ServedModel& model_;
  MergedCache& cache_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_DECODER_H_
