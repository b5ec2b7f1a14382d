#include "tools/model/diff.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tools/model/json_number.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {
namespace {

using ::lory::model::Parameter;
using ::lory::model::Transformer;

double NormOf(const at::Tensor& tensor) {
  return at::linalg_vector_norm(tensor, 2, {}, false, at::kDouble)
      .item<double>();
}

TensorDifference DifferenceOf(const std::string& name, const at::Tensor& a,
                              const at::Tensor& b) {
  TensorDifference difference{.name = name};
  // As integers: a NaN equals itself, 0 does not equal -0.
  difference.differing_count =
      a.view(at::kInt).ne(b.view(at::kInt)).sum().item<int64_t>();
  if (difference.differing_count == 0) return difference;
  const at::Tensor change = a.to(at::kDouble) - b.to(at::kDouble);
  const double norm = std::max(NormOf(a), NormOf(b));
  difference.relative = norm == 0 ? 0 : NormOf(change) / norm;
  difference.largest = change.abs().max().item<double>();
  return difference;
}

std::string SizesText(const Parameter& parameter) {
  return absl::StrCat("[", absl::StrJoin(parameter.value.sizes(), ", "), "]");
}

// Largest first; what is not a number before all.
bool ComesBefore(const TensorDifference& a, const TensorDifference& b) {
  const auto key = [](const TensorDifference& tensor) {
    return std::isnan(tensor.relative) ? INFINITY : tensor.relative;
  };
  if (key(a) != key(b)) return key(a) > key(b);
  return a.name < b.name;
}

}  // namespace

bool ModelDifference::empty() const {
  return mismatches.empty() && std::all_of(tensors.begin(), tensors.end(),
                                           [](const TensorDifference& tensor) {
                                             return tensor.differing_count == 0;
                                           });
}

absl::StatusOr<ModelDifference> Compare(const Transformer& a,
                                        const Transformer& b) {
  return lory::train::GuardTorch("comparing", [&] {
    at::NoGradGuard no_grad;
    ModelDifference difference;
    for (const Parameter& mine : a.parameters().parameters()) {
      const Parameter* theirs = b.parameters().Find(mine.name);
      if (theirs == nullptr) {
        difference.mismatches.push_back(
            absl::StrCat("only the first has ", mine.name));
      } else if (mine.value.sizes() != theirs->value.sizes()) {
        difference.mismatches.push_back(
            absl::StrCat(mine.name, " is ", SizesText(mine), " in the first, ",
                         SizesText(*theirs), " in the second"));
      } else {
        difference.tensors.push_back(DifferenceOf(
            mine.name, mine.value.detach(), theirs->value.detach()));
      }
    }
    for (const Parameter& theirs : b.parameters().parameters()) {
      if (a.parameters().Find(theirs.name) == nullptr) {
        difference.mismatches.push_back(
            absl::StrCat("only the second has ", theirs.name));
      }
    }
    std::sort(difference.tensors.begin(), difference.tensors.end(),
              ComesBefore);
    return difference;
  });
}

std::string ToText(const ModelDifference& difference) {
  std::string out;
  for (const std::string& mismatch : difference.mismatches) {
    absl::StrAppend(&out, mismatch, "\n");
  }
  int64_t equal = 0;
  std::string rows;
  for (const TensorDifference& tensor : difference.tensors) {
    if (tensor.differing_count == 0) {
      ++equal;
      continue;
    }
    absl::StrAppendFormat(&rows, "%-52s %12.4e %12.4e %12d\n", tensor.name,
                          tensor.relative, tensor.largest,
                          tensor.differing_count);
  }
  if (!rows.empty()) {
    absl::StrAppendFormat(&out, "%-52s %12s %12s %12s\n", "tensor", "relative",
                          "largest", "numbers");
  }
  return absl::StrCat(out, rows, equal, " of ", difference.tensors.size(),
                      " tensors in common are equal\n");
}

std::string ToJson(const ModelDifference& difference) {
  nlohmann::ordered_json json = {{"equal", difference.empty()},
                                 {"mismatches", difference.mismatches}};
  json["tensors"] = nlohmann::ordered_json::array();
  for (const TensorDifference& tensor : difference.tensors) {
    json["tensors"].push_back({{"name", tensor.name},
                               {"relative", JsonNumber(tensor.relative)},
                               {"largest", JsonNumber(tensor.largest)},
                               {"differing", tensor.differing_count}});
  }
  return json.dump(1) + "\n";
}

}  // namespace lory::surgery
