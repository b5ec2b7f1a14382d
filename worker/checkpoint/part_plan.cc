#include "worker/checkpoint/part_plan.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace lory::checkpoint {

std::vector<int> AssignParts(std::span<const TensorSize> tensors,
                             int part_count) {
  std::vector<size_t> by_name(tensors.size());
  std::iota(by_name.begin(), by_name.end(), 0);
  std::sort(by_name.begin(), by_name.end(), [&](size_t a, size_t b) {
    return tensors[a].name < tensors[b].name;
  });
  int64_t total = 0;
  for (const TensorSize& tensor : tensors) total += tensor.bytes;
  std::vector<int> parts(tensors.size(), 0);
  if (total == 0) return parts;
  int64_t before = 0;
  for (const size_t i : by_name) {
    // The part in whose share of the bytes the middle of the tensor lies.
    const double middle =
        static_cast<double>(before) + static_cast<double>(tensors[i].bytes) / 2;
    const int part =
        static_cast<int>(middle * part_count / static_cast<double>(total));
    parts[i] = std::min(part, part_count - 1);
    before += tensors[i].bytes;
  }
  return parts;
}

std::string FolderName(int64_t step, int64_t generation) {
  return absl::StrCat("step-", step, ".gen-", generation);
}

std::string PartFileName(int index, int count) {
  return absl::StrCat("part-", index, "-of-", count, ".safetensors");
}

}  // namespace lory::checkpoint
