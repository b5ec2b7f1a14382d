#include "tools/model/save_model.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/isfinite.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/model_shape.h"
#include "tools/model/checkpoint_folder.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {

using ::lory::model::Transformer;

absl::StatusOr<int64_t> NonfiniteCount(const Transformer& model) {
  return lory::train::GuardTorch("looking for what is not finite", [&] {
    const at::Tensor& values = model.parameters().flat_values();
    return values.numel() - at::isfinite(values).sum().item<int64_t>();
  });
}

absl::Status CheckFinite(const Transformer& model, int64_t before,
                         absl::string_view flag) {
  LORY_ASSIGN_OR_RETURN(const int64_t count, NonfiniteCount(model));
  if (count == 0 || before > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      count, " numbers would not be finite: ", flag, " is too large"));
}

absl::StatusOr<std::string> SaveModel(const Transformer& model,
                                      const SaveTarget& target) {
  LORY_RETURN_IF_ERROR(
      WriteCheckpoint(model,
                      {.job = absl::StrCat("jobs/", target.verb),
                       .note = target.note,
                       .tokenizer_sha256 = target.tokenizer_sha256,
                       .notes = target.notes},
                      target.to, target.force));
  LORY_ASSIGN_OR_RETURN(const int64_t nonfinite, NonfiniteCount(model));
  return absl::StrCat(
      target.to, ": ", target.note, ", ",
      lory::config::ParameterCount(model.shape()), " parameters",
      nonfinite == 0
          ? ""
          : absl::StrCat(", ", nonfinite, " not finite, as in the input"),
      "\n");
}

}  // namespace lory::surgery
