#include "tools/corpus/order.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/walk.h"
#include "tools/corpus/walk_report.h"

namespace lory::corpus {
namespace {

Walk WalkBy(const OrderOptions& options, std::span<const Neighbor> neighbors,
            std::span<const uint8_t> gone) {
  const int32_t k = options.neighbor_count;
  switch (options.order) {
    case DocumentOrder::kSimilarity:
      return WalkSimilar(neighbors, k, gone, options.seed);
    case DocumentOrder::kReleasedCode:
      return WalkAsReleased(neighbors, k, gone);
    case DocumentOrder::kRandom:
      break;
  }
  return WalkRandomly(gone, options.seed);
}

}  // namespace

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
  Walk walk = WalkBy(options, neighbors, gone);
  const WalkReport report =
      ReportOn(walk, neighbors, options.neighbor_count, gone);
  for (int32_t& document : walk.order) document = documents[document];
  LORY_RETURN_IF_ERROR(
      WriteArray<int32_t>(absl::StrCat(folder, "/", kOrderFile), walk.order));
  return StageResult{{kOrderFile},
                     FiguresOf(report),
                     absl::StrFormat("%d documents by %s, %s", report.documents,
                                     NameOf(options.order), Describe(report))};
}

}  // namespace lory::corpus
