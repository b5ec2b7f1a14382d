#include "common/data/tensor_rows.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace lory::data {

std::string RowsName(const TensorRows& rows) {
  return absl::StrCat(rows.tensor, "[", rows.first, ":", rows.end, "]");
}

std::optional<TensorRows> ParseRowsName(absl::string_view name) {
  const absl::string_view whole = name;
  if (!absl::ConsumeSuffix(&name, "]")) return std::nullopt;
  const std::pair<absl::string_view, absl::string_view> tensor =
      absl::StrSplit(name, absl::MaxSplits('[', 1));
  const std::pair<absl::string_view, absl::string_view> range =
      absl::StrSplit(tensor.second, absl::MaxSplits(':', 1));
  TensorRows rows{.tensor = std::string(tensor.first)};
  // Written as RowsName would: no two names are of the same rows.
  if (!absl::SimpleAtoi(range.first, &rows.first) ||
      !absl::SimpleAtoi(range.second, &rows.end) || rows.first < 0 ||
      rows.end <= rows.first || RowsName(rows) != whole) {
    return std::nullopt;
  }
  return rows;
}

}  // namespace lory::data
