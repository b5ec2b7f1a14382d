#include "tools/model/hugging_face_tensors.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/config/model_shape.h"

namespace lory::surgery {
namespace {

constexpr char kMixtralBlock[] = "block_sparse_moe.";

// Ours, and Mixtral's for the matrices of one expert.
constexpr struct {
  absl::string_view ours;
  absl::string_view theirs;
} kExpertMatrices[] = {{lory::config::kExpertGate, "w1"},
                       {lory::config::kExpertDown, "w2"},
                       {lory::config::kExpertUp, "w3"}};

}  // namespace

lory::model::NamedTensors HuggingFaceTensors(
    const lory::model::Parameter& parameter) {
  const at::Tensor value = parameter.value.detach();
  absl::string_view layer = parameter.name;
  for (const auto& [ours, theirs] : kExpertMatrices) {
    if (!absl::ConsumeSuffix(&layer, ours)) continue;
    lory::model::NamedTensors tensors;
    for (int64_t e = 0; e < value.size(0); ++e) {
      tensors.emplace_back(absl::StrCat(layer, kMixtralBlock, "experts.", e,
                                        ".", theirs, ".weight"),
                           value[e]);
    }
    return tensors;
  }
  if (absl::ConsumeSuffix(&layer, lory::config::kRouter)) {
    return {{absl::StrCat(layer, kMixtralBlock, "gate.weight"), value}};
  }
  return {{parameter.name, value}};
}

}  // namespace lory::surgery
