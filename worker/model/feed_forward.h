#ifndef LORY_WORKER_MODEL_FEED_FORWARD_H_
#define LORY_WORKER_MODEL_FEED_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "common/config/model_shape.h"
#include "worker/model/parameter_store.h"

namespace lory::model {

// What a forward pass is for.
struct Pass {
  // In training some variants do otherwise than at inference: Expert Choice
  // lets experts choose, SMEAR drops some, routers have a balance loss.
  bool training = false;
  // What is drawn at random in training follows from this number and the
  // layer, so that a micro-batch gives one result wherever it is trained.
  uint64_t noise_seed = 0;
  // The loss is the entropy of the next token, whatever the target.
  bool entropy = false;
  // At inference: tokens of each sequence, from the first, that are a prompt. A
  // mixture that the first segment's or a pool's own tokens decide then looks
  // at no token after them, so that what follows the prompt is predicted
  // without being seen; slots are filled with no other. 0: it looks at whatever
  // is there, as in training.
  int64_t prompt_length = 0;
  // At inference of a Lory model: a sequence is one segment (PROMPT inference).
  bool one_segment = false;

  // As many of the first `count` tokens as decide a mixture.
  int64_t Deciding(int64_t count) const {
    return prompt_length == 0 ? count : std::min(count, prompt_length);
  }
};

// What a layer's router did to one micro-batch, for losses that spread the load
// over experts. Undefined tensors: the variant has no such loss.
struct RouterLoad {
  // How many times a token chose each expert, on average; no gradient.
  at::Tensor chosen_E;
  // Mean probability of each expert.
  at::Tensor probability_E;
  // Mean square of the log of the sum of exponentiated logits; a scalar.
  at::Tensor squared_partition;
};

// What a feed-forward answers.
struct FeedForwardResult {
  at::Tensor out_BLD;
  // Weight of each expert in what the router decided as one, a segment or a
  // token; rows sum to one, or to zero where no expert took it. Cut from the
  // graph, for statistics. Undefined for a dense feed-forward.
  at::Tensor routing_RE;
  // In training.
  RouterLoad load;
};

// The feed-forward of one layer. Variants differ in how they choose weights.
// Holds handles to parameters of the model that owns it. Thread-compatible.
class FeedForward {
 public:
  virtual ~FeedForward() = default;

  // hidden_BLD is the normed hidden state; the caller adds the residual.
  // pass.noise_seed is this layer's.
  virtual FeedForwardResult Forward(const at::Tensor& hidden_BLD,
                                    const Pass& pass) const = 0;

  // What training minimises beside the cross-entropy, from the loads of all
  // layers: a scalar in nats a token, factors included. Any layer's
  // feed-forward answers for all. Undefined: nothing.
  virtual at::Tensor AuxiliaryLoss(std::span<const RouterLoad> layers) const;
};

// The variant that `shape` names, with the parameters of layer `layer`.
std::unique_ptr<FeedForward> MakeFeedForward(
    const lory::config::ModelShape& shape, const ParameterStore& parameters,
    int64_t layer);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_FEED_FORWARD_H_
