#include "worker/model/dense_feed_forward.h"

#include <ATen/ops/linear.h>

#include "absl/strings/str_cat.h"
#include "worker/ops/swiglu.h"

namespace lory::model {

DenseFeedForward::DenseFeedForward(const ParameterStore& parameters,
                                   int64_t layer) {
  const std::string prefix = lory::config::LayerPrefix(layer);
  gate_FD_ = parameters.Get(absl::StrCat(prefix, lory::config::kGate));
  up_FD_ = parameters.Get(absl::StrCat(prefix, lory::config::kUp));
  down_DF_ = parameters.Get(absl::StrCat(prefix, lory::config::kDown));
}

FeedForwardResult DenseFeedForward::Forward(const at::Tensor& hidden_BLD,
                                            const Pass&) const {
  const at::Tensor inner_BLF = lory::ops::Swiglu(
      at::linear(hidden_BLD, gate_FD_), at::linear(hidden_BLD, up_FD_));
  return {at::linear(inner_BLF, down_DF_), at::Tensor(), {}};
}

}  // namespace lory::model
