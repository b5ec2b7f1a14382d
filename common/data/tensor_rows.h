#ifndef LORY_COMMON_DATA_TENSOR_ROWS_H_
#define LORY_COMMON_DATA_TENSOR_ROWS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

// A tensor of a checkpoint that is larger than a part's share lies in several
// parts, cut along its first dimension. docs/formats.md, "Checkpoint".
namespace lory::data {

// Rows [first, end) of a tensor.
struct TensorRows {
  std::string tensor;
  int64_t first = 0;
  int64_t end = 0;
};

// The name of such rows in a part, "param/w[128:256]", and back. Empty: the
// name is that of a whole tensor.
std::string RowsName(const TensorRows& rows);
std::optional<TensorRows> ParseRowsName(absl::string_view name);

}  // namespace lory::data

#endif  // LORY_COMMON_DATA_TENSOR_ROWS_H_
