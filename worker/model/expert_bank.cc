#include "worker/model/expert_bank.h"

#include <ATen/ops/argsort.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/model_shape.h"
#include "worker/ops/merged_feed_forward.h"
#include "worker/ops/swiglu.h"

namespace lory::model {

ExpertBank::ExpertBank(const ParameterStore& parameters, int64_t layer)
    : gate_EFD_(LayerParameter(parameters, layer, lory::config::kExpertGate)),
      up_EFD_(LayerParameter(parameters, layer, lory::config::kExpertUp)),
      down_EDF_(LayerParameter(parameters, layer, lory::config::kExpertDown)) {}

at::Tensor ExpertBank::Merged(const at::Tensor& hidden_BLD,
                              const at::Tensor& routing_BNE) const {
  return lory::ops::MergedFeedForward(hidden_BLD, routing_BNE, gate_EFD_,
                                      up_EFD_, down_EDF_);
}

at::Tensor ExpertBank::Chosen(const at::Tensor& rows_RD,
                              const at::Tensor& chosen_RK) const {
  const at::Tensor experts = chosen_RK.flatten();
  const at::Tensor order = at::argsort(experts, /*stable=*/true, /*dim=*/0);
  const at::Tensor count_E =
      at::bincount(experts, {}, expert_count()).to(at::kCPU).contiguous();
  // Each row K times, by expand rather than by repeated indices: the gradient
  // is then a sum in a fixed order.
  const at::Tensor grouped_RD = rows_RD.unsqueeze(1)
                                    .expand({-1, chosen_RK.size(1), -1})
                                    .flatten(0, 1)
                                    .index_select(0, order);
  const at::Tensor out_RD = Grouped(
      grouped_RD,
      {count_E.const_data_ptr<int64_t>(), static_cast<size_t>(expert_count())});
  return out_RD.index_select(0, at::argsort(order))
      .unflatten(0, chosen_RK.sizes());
}

at::Tensor ExpertBank::Grouped(const at::Tensor& rows_RD,
                               std::span<const int64_t> counts) const {
  // unbind, whose gradient is one tensor; that of gate[e] is one for each e.
  const std::vector<at::Tensor> gate = gate_EFD_.unbind(0);
  const std::vector<at::Tensor> up = up_EFD_.unbind(0);
  const std::vector<at::Tensor> down = down_EDF_.unbind(0);
  std::vector<at::Tensor> outs;
  int64_t first = 0;
  for (size_t e = 0; e < counts.size(); ++e) {
    if (counts[e] == 0) continue;
    const at::Tensor rows = rows_RD.narrow(0, first, counts[e]);
    outs.push_back(at::linear(
        lory::ops::Swiglu(at::linear(rows, gate[e]), at::linear(rows, up[e])),
        down[e]));
    first += counts[e];
  }
  return at::cat(outs, 0);
}

at::Tensor LayerParameter(const ParameterStore& parameters, int64_t layer,
                          absl::string_view name) {
  return parameters.Get(absl::StrCat(lory::config::LayerPrefix(layer), name));
}

}  // namespace lory::model
