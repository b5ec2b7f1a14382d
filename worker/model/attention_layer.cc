#include "worker/model/attention_layer.h"

#include <ATen/ops/linear.h>

#include "absl/strings/str_cat.h"
#include "worker/ops/attention.h"
#include "worker/ops/rms_norm.h"

namespace lory::model {

AttentionLayer::AttentionLayer(const lory::config::ModelShape& shape,
                               const ParameterStore& parameters, int64_t layer)
    : head_count_(shape.head_count),
      key_value_head_count_(shape.key_value_head_count),
      head_width_(shape.head_width),
      norm_epsilon_(shape.norm_epsilon) {
  const std::string prefix = lory::config::LayerPrefix(layer);
  const auto get = [&](absl::string_view name) {
    return parameters.Get(absl::StrCat(prefix, name));
  };
  norm_D_ = get(lory::config::kAttentionNorm);
  query_ = get(lory::config::kQueryProjection);
  key_ = get(lory::config::kKeyProjection);
  value_ = get(lory::config::kValueProjection);
  output_ = get(lory::config::kOutputProjection);
}

at::Tensor AttentionLayer::Forward(const at::Tensor& hidden_BLD,
                                   const RotaryTable& rotary) const {
  const at::Tensor normed_BLD =
      lory::ops::RmsNorm(hidden_BLD, norm_D_, norm_epsilon_);
  const auto project = [&](const at::Tensor& weight, int64_t heads) {
    return at::linear(normed_BLD, weight).unflatten(2, {heads, head_width_});
  };
  const at::Tensor query_BLHK =
      lory::ops::ApplyRotary(project(query_, head_count_), rotary);
  const at::Tensor key_BLGK =
      lory::ops::ApplyRotary(project(key_, key_value_head_count_), rotary);
  const at::Tensor value_BLGK = project(value_, key_value_head_count_);
  const at::Tensor mixed_BLHK =
      lory::ops::CausalAttention(query_BLHK, key_BLGK, value_BLGK);
  return at::linear(mixed_BLHK.flatten(2), output_);
}

}  // namespace lory::model
