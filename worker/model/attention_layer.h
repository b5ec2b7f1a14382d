#ifndef LORY_WORKER_MODEL_ATTENTION_LAYER_H_
#define LORY_WORKER_MODEL_ATTENTION_LAYER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "common/config/model_shape.h"
#include "worker/model/parameter_store.h"
#include "worker/ops/rotary.h"

namespace lory::model {

using ::lory::ops::RotaryTable;

// Norm and causal self-attention of one layer; the caller adds the residual.
// Keys and values may have fewer heads than queries (grouped-query attention):
// query head h then reads key head h / (H / G). Holds handles to parameters of
// the model that owns it. Thread-compatible.
class AttentionLayer {
 public:
  AttentionLayer(const lory::config::ModelShape& shape,
                 const ParameterStore& parameters, int64_t layer);

  // hidden_BLD is the residual stream; `rotary` has at least L rows.
  at::Tensor Forward(const at::Tensor& hidden_BLD,
                     const RotaryTable& rotary) const;

 private:
  int64_t head_count_;
  int64_t key_value_head_count_;
  int64_t head_width_;
  double norm_epsilon_;
  at::Tensor norm_D_;
  at::Tensor query_;   // [H K, D]
  at::Tensor key_;     // [G K, D]
  at::Tensor value_;   // [G K, D]
  at::Tensor output_;  // [D, H K]
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_ATTENTION_LAYER_H_
