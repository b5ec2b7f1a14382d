#include "tools/corpus/order.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/walk.h"

namespace lory::corpus {

absl::StatusOr<StageResult> OrderDocuments(std::span<const Neighbor> neighbors,
                                           std::span<const uint8_t> held_out,
                                           std::span<const uint8_t> dropped,
                                           const OrderOptions& options,
                                           const std::string& folder,
                                           Progress& progress) {
  // The graph numbers only what is trained: its n-th is the document ...
  std::vector<int32_t> documents;
  std::vector<uint8_t> gone;
  for (size_t i = 0; i < held_out.size(); ++i) {
    if (held_out[i]) continue;
    documents.push_back(static_cast<int32_t>(i));
    gone.push_back(dropped[i]);
  }
  Walk walk =
      options.order == DocumentOrder::kSimilarity
          ? WalkSimilar(neighbors, options.neighbor_count, gone, options.seed)
          : WalkRandomly(gone, options.seed);
  for (int32_t& document : walk.order) document = documents[document];
  LORY_RETURN_IF_ERROR(
      WriteArray<int32_t>(absl::StrCat(folder, "/", kOrderFile), walk.order));
  const int64_t count = static_cast<int64_t>(walk.order.size());
  return StageResult{{kOrderFile},
                     {{"documents", static_cast<double>(count)},
                      {"jumps", static_cast<double>(walk.jumps)}},
                     absl::StrFormat("%d documents by %s, %d jumps", count,
                                     NameOf(options.order), walk.jumps)};
}

}  // namespace lory::corpus
