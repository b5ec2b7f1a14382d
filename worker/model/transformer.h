#ifndef LORY_WORKER_MODEL_TRANSFORMER_H_
#define LORY_WORKER_MODEL_TRANSFORMER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/model_shape.h"
#include "lory/v1/model.pb.h"
#include "worker/model/attention_layer.h"
#include "worker/model/feed_forward.h"
#include "worker/model/parameter_store.h"
#include "worker/model/routing_stats.h"

namespace lory::model {

// What a forward pass over a micro-batch leaves.
struct ForwardResult {
  // Sum of the token losses in nats, or of their entropies if the pass asks for
  // these; a scalar in fp32, differentiable.
  at::Tensor loss_sum;
  // What training minimises beside it, such as a balance loss: its mean over
  // the micro-batch times token_count, so that sums over micro-batches are
  // divided by the same number as those of the token losses. Differentiable;
  // undefined where there is none, and outside of training.
  at::Tensor auxiliary_sum;
  // Targets that counted: those not negative.
  int64_t token_count = 0;
  // Of this micro-batch; empty for a dense model.
  RoutingStats routing;

  // What to differentiate in training: the sum of both.
  at::Tensor TrainingLoss() const;
};

// A LLaMA-style decoder: RMSNorm before each block, rotary positions, SwiGLU
// feed-forwards of the variant that the spec names, an untied head.
//
// Owns its parameters. Thread-compatible: one thread trains it; LibTorch's own
// threads work inside a call. Forward and Logits throw c10::Error, which
// worker/train/torch_guard.h turns into a status.
//
//   LORY_ASSIGN_OR_RETURN(auto model, Transformer::Create(spec, false, seed));
//   model->parameters().ZeroGradients();
//   ForwardResult result = model->Forward(tokens_BL, targets_BL);
//   result.TrainingLoss().backward();   // adds to model->parameters()
class Transformer {
 public:
  // A model with its initial weights. `dense_phase`: the model trained before
  // its feed-forwards become experts; every feed-forward is then dense,
  // whatever the spec says. The weights are a function of spec, seed and
  // parameter name alone.
  //
  // INVALID_ARGUMENT: what ValidateModelSpec finds. Throws c10::Error when out
  // of memory.
  static absl::StatusOr<std::unique_ptr<Transformer>> Create(
      const lory::v1::ModelSpec& spec, bool dense_phase, uint64_t seed);

  // The same with every weight zero (norms too), for callers that load or
  // receive them.
  static absl::StatusOr<std::unique_ptr<Transformer>> CreateUninitialised(
      const lory::v1::ModelSpec& spec, bool dense_phase);

  Transformer(const Transformer&) = delete;
  Transformer& operator=(const Transformer&) = delete;

  // Loss of predicting targets_BL[b][l] after tokens_BL[b][0..l]. Both int64,
  // L at most sequence_length; a negative target does not count. No logits of
  // the whole micro-batch are ever held. Call .backward() on TrainingLoss() to
  // add to the gradients; under a NoGradGuard nothing is kept for that.
  ForwardResult Forward(const at::Tensor& tokens_BL,
                        const at::Tensor& targets_BL,
                        const Pass& pass = {}) const;

  // Loss of every target: BL, in fp32, without a gradient; 0 where the
  // target is negative. Arguments as Forward's, and as few logits at a time.
  // `routing`, if not null, becomes routing_RE of each layer, of which there
  // are none in a dense model.
  at::Tensor TokenLosses(const at::Tensor& tokens_BL,
                         const at::Tensor& targets_BL, const Pass& pass = {},
                         std::vector<at::Tensor>* routing = nullptr) const;

  // Logits of the next token at every position, at inference: BLV, fp32.
  at::Tensor Logits(const at::Tensor& tokens_BL) const;

  ParameterStore& parameters() { return parameters_; }
  const ParameterStore& parameters() const { return parameters_; }

  // As given to Create.
  const lory::v1::ModelSpec& spec() const { return spec_; }
  // What this model is: of a dense phase, the dense shape.
  const lory::config::ModelShape& shape() const { return shape_; }
  // Whether it is the dense model of a spec that asks for experts.
  bool is_dense_phase() const { return dense_phase_; }

 private:
  struct Layer {
    AttentionLayer attention;
    at::Tensor feed_forward_norm_D;
    std::unique_ptr<FeedForward> feed_forward;
  };

  Transformer(const lory::v1::ModelSpec& spec, bool dense_phase,
              const lory::config::ModelShape& shape);

  // What the routers of each layer did. Of a dense model, no routing.
  struct Routed {
    std::vector<at::Tensor> routing;  // each RE
    std::vector<RouterLoad> loads;
  };

  // The last hidden state, after its norm; BLD. Adds to `routed` if not null.
  at::Tensor Hidden(const at::Tensor& tokens_BL, const Pass& pass,
                    Routed* routed) const;

  const lory::v1::ModelSpec spec_;
  const bool dense_phase_;
  const lory::config::ModelShape shape_;
  ParameterStore parameters_;
  RotaryTable rotary_;
  at::Tensor embedding_VD_;
  std::vector<Layer> layers_;
  at::Tensor norm_D_;
  at::Tensor head_VD_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_TRANSFORMER_H_
