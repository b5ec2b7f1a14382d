#include "tools/model/task_arithmetic.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "tools/model/checkpoint_folder.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {
namespace {

using ::lory::model::Parameter;
using ::lory::model::Transformer;
using ::lory::train::GuardTorch;

// Numbers that are widened to double at a time.
constexpr int64_t kChunk = int64_t{1} << 24;

absl::Status CheckSameTensors(const Transformer& base,
                              const Transformer& tuned) {
  for (const Parameter& mine : base.parameters().parameters()) {
    const Parameter* theirs = tuned.parameters().Find(mine.name);
    if (theirs == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "it has no ", mine.name, ": it was not made from the base"));
    }
    if (mine.value.sizes() != theirs->value.sizes()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "its ", mine.name, " is [",
          absl::StrJoin(theirs->value.sizes(), ", "), "], the base's [",
          absl::StrJoin(mine.value.sizes(), ", "), "]"));
    }
  }
  // The same names in the same shapes lie in the same order.
  if (base.parameters().parameters().size() ==
      tuned.parameters().parameters().size()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "it has tensors that the base has not: it was not made from the base");
}

}  // namespace

absl::StatusOr<std::unique_ptr<TaskArithmetic>> TaskArithmetic::Start(
    const Transformer& base) {
  auto sum = absl::WrapUnique(new TaskArithmetic(base));
  LORY_RETURN_IF_ERROR(GuardTorch("task arithmetic", [&] {
    at::NoGradGuard no_grad;
    sum->change_ =
        at::zeros({base.parameters().flat_values().numel()}, at::kDouble);
  }));
  return sum;
}

absl::Status TaskArithmetic::Add(const Transformer& tuned, double scale) {
  LORY_RETURN_IF_ERROR(CheckSameTensors(base_, tuned));
  return GuardTorch("task arithmetic", [&] {
    at::NoGradGuard no_grad;
    const at::Tensor& from = base_.parameters().flat_values();
    const at::Tensor& to = tuned.parameters().flat_values();
    for (int64_t first = 0; first < from.numel(); first += kChunk) {
      const int64_t count = std::min(kChunk, from.numel() - first);
      change_.narrow(0, first, count)
          .add_(to.narrow(0, first, count).to(at::kDouble) -
                    from.narrow(0, first, count).to(at::kDouble),
                scale);
    }
  });
}

absl::StatusOr<std::unique_ptr<Transformer>> TaskArithmetic::Finish(
    double scale) const {
  return GuardTorch(
      "task arithmetic", [&]() -> absl::StatusOr<std::unique_ptr<Transformer>> {
        LORY_ASSIGN_OR_RETURN(std::unique_ptr<Transformer> merged,
                              Transformer::CreateUninitialised(
                                  SpecAsIs(base_), /*dense_phase=*/false));
        at::NoGradGuard no_grad;
        merged->parameters().flat_values().copy_(
            change_ * scale + base_.parameters().flat_values().to(at::kDouble));
        return merged;
      });
}

}  // namespace lory::surgery
