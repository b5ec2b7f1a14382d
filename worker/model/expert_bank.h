#ifndef LORY_WORKER_MODEL_EXPERT_BANK_H_
#define LORY_WORKER_MODEL_EXPERT_BANK_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "absl/strings/string_view.h"
#include "worker/model/parameter_store.h"

namespace lory::model {

// The experts of one layer: E SwiGLU feed-forwards of one shape. Holds handles
// to parameters of the model that owns it. Thread-compatible.
class ExpertBank {
 public:
  ExpertBank(const ParameterStore& parameters, int64_t layer);

  int64_t expert_count() const { return gate_EFD_.size(0); }

  // One feed-forward for each of N parts of equal length, its weights the sums
  // of all experts' by routing_BNE: ops::MergedFeedForward.
  at::Tensor Merged(const at::Tensor& hidden_BLD,
                    const at::Tensor& routing_BNE) const;

  // Every row through the K experts that chosen_RK names for it: RKD, not
  // weighted. Rows are sorted by expert, so that each works on one matrix.
  at::Tensor Chosen(const at::Tensor& rows_RD,
                    const at::Tensor& chosen_RK) const;

  // The first counts[0] rows through expert 0, the next counts[1] through
  // expert 1 and so on; RD.
  at::Tensor Grouped(const at::Tensor& rows_RD,
                     std::span<const int64_t> counts) const;

 private:
  at::Tensor gate_EFD_;
  at::Tensor up_EFD_;
  at::Tensor down_EDF_;
};

// The parameter `name` of layer `layer`, which must exist.
at::Tensor LayerParameter(const ParameterStore& parameters, int64_t layer,
                          absl::string_view name);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_EXPERT_BANK_H_
