#include "tools/corpus/order.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/walk.h"

namespace lory::corpus {

absl::StatusOr<StageResult> OrderDocuments(std::span<const Neighbor> neighbors,
                                           std::span<const uint8_t> held_out,
                                           const OrderOptions& options,
                                           const std::string& folder,
                                           Progress& progress) {
  // The graph numbers only what is trained: its n-th is the document ...
  std::vector<int32_t> documents;
  for (size_t i = 0; i < held_out.size(); ++i) {
    if (!held_out[i]) documents.push_back(static_cast<int32_t>(i));
  }
  const std::vector<uint8_t> dropped = FindNearDuplicates(
      neighbors, options.neighbor_count, options.near_duplicate);
  Walk walk = options.order == DocumentOrder::kSimilarity
                  ? WalkSimilar(neighbors, options.neighbor_count, dropped,
                                options.seed)
                  : WalkRandomly(dropped, options.seed);
  for (int32_t& document : walk.order) document = documents[document];
  LORY_RETURN_IF_ERROR(
      WriteArray<int32_t>(absl::StrCat(folder, "/", kOrderFile), walk.order));
  const int64_t near = std::count(dropped.begin(), dropped.end(), uint8_t{1});
  const int64_t count = static_cast<int64_t>(walk.order.size());
  return StageResult{
      {kOrderFile},
      {{"documents", static_cast<double>(count)},
       {"near_duplicates", static_cast<double>(near)},
       {"jumps", static_cast<double>(walk.jumps)}},
      absl::StrFormat("%d documents by %s, %d jumps; %d near "
                      "duplicates dropped",
                      count, NameOf(options.order), walk.jumps, near)};
}

}  // namespace lory::corpus
