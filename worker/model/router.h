#ifndef LORY_WORKER_MODEL_ROUTER_H_
#define LORY_WORKER_MODEL_ROUTER_H_

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "common/config/model_shape.h"
#include "worker/model/parameter_store.h"

namespace lory::model {

// The part of a text that one decision of a router is for, and who makes it.
struct RoutingUnit {
  enum class Kind {
    kText,     // all of it, by its first `length` tokens; 0: by all there are
    kSegment,  // `length` tokens, by the mean of the segment before; the
               // first by its own, or by Router::FirstWeights
    kToken,    // one token, by itself
  };

  Kind kind = Kind::kToken;
  int64_t length = 1;

  // As many of the first `count` tokens as decide for a text.
  int64_t Deciding(int64_t count) const {
    return length == 0 ? count : std::min(length, count);
  }
  // Decisions of a text of `count` tokens, 1 or more.
  int64_t DecisionsOf(int64_t count) const {
    return kind == Kind::kText ? 1 : (count + length - 1) / length;
  }
};

// What a layer's feed-forward decides at inference: how much of each expert a
// unit of text is given. Without the experts, so that whoever has those
// somewhere else can ask, as lory-server does; the variant's own Forward
// decides with it too.
//
// Holds handles to parameters of the model that owns it. Thread-compatible.
// Letters: worker/model/shapes.h; X are the matrices of the bank of experts, E
// in all variants but WEMoE, whose first is the base, and Soft MoE, where each
// has several slots.
class Router {
 public:
  virtual ~Router() = default;

  virtual RoutingUnit unit() const = 0;

  // The unit where a prompt is read to be answered: a model of segments may
  // take the prompt, and what follows, as one.
  virtual RoutingUnit PromptUnit() const { return unit(); }

  // What the weights are for: the experts' matrices, which are summed to one
  // feed-forward, or the outputs of those experts whose weight is not zero.
  virtual bool merges() const = 0;

  // Weights of U units, each decided by R tokens: URD -> UX. Of segments only
  // the mean of the R counts.
  virtual at::Tensor Weights(const at::Tensor& deciding_URD) const = 0;

  // Weights of every first segment, [X], whatever its tokens are. Undefined:
  // its own tokens decide.
  virtual at::Tensor FirstWeights() const { return at::Tensor(); }

  // Whether experts go through mixtures of tokens, their slots, in place of the
  // tokens: Weights are then those of the slots' outputs.
  virtual bool has_slots() const { return false; }

  struct FilledSlots {
    at::Tensor weights_LX;  // as Weights
    at::Tensor tokens_XD;   // the mixtures, in order of experts
  };

  // The first `filling` of a text's tokens fill the slots. Undefined without
  // slots.
  virtual FilledSlots FillSlots(const at::Tensor& /*tokens_LD*/,
                                int64_t /*filling*/) const {
    return {};
  }

  // The part each expert has in what a unit is given: UX -> UE. Rows sum to
  // one, or to zero where no expert has a weight.
  virtual at::Tensor Shares(const at::Tensor& weights_UX) const;
};

// The router of layer `layer` of the variant that `shape` names; of its
// parameters those that IsRoutingParameter are asked for. Null: a dense
// feed-forward.
std::unique_ptr<Router> MakeRouter(const lory::config::ModelShape& shape,
                                   const ParameterStore& parameters,
                                   int64_t layer);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_ROUTER_H_
