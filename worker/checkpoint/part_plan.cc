#include "worker/checkpoint/part_plan.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace lory::checkpoint {

std::vector<Piece> AssignParts(std::span<const TensorSize> tensors,
                               int part_count) {
  std::vector<size_t> by_name(tensors.size());
  std::iota(by_name.begin(), by_name.end(), 0);
  std::sort(by_name.begin(), by_name.end(), [&](size_t a, size_t b) {
    return tensors[a].name < tensors[b].name;
  });
  int64_t total = 0;
  for (const TensorSize& tensor : tensors) total += tensor.bytes;
  const double share = static_cast<double>(total) / part_count;
  // The part in whose share of the bytes a place lies.
  const auto part_at = [&](double place) {
    return total == 0
               ? 0
               : std::min(static_cast<int>(place / share), part_count - 1);
  };
  std::vector<Piece> pieces;
  double before = 0;
  for (const size_t i : by_name) {
    const auto bytes = static_cast<double>(tensors[i].bytes);
    // Rows that are not cut apart: all, if they fit.
    const int64_t step = bytes <= share ? tensors[i].rows : 1;
    const double step_bytes = bytes * static_cast<double>(step) /
                              static_cast<double>(tensors[i].rows);
    double middle = before + step_bytes / 2;
    for (int64_t row = 0; row < tensors[i].rows; row += step) {
      const int part = part_at(middle);
      middle += step_bytes;
      if (row > 0 && pieces.back().part == part) {
        pieces.back().end_row = row + step;
      } else {
        pieces.push_back({i, part, row, row + step});
      }
    }
    before += bytes;
  }
  return pieces;
}

std::string FolderName(int64_t step, int64_t generation) {
  return absl::StrCat("step-", step, ".gen-", generation);
}

std::string PartFileName(int index, int count) {
  return absl::StrCat("part-", index, "-of-", count, ".safetensors");
}

}  // namespace lory::checkpoint
