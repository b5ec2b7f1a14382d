#ifndef LORY_TOOLS_CORPUS_ORDER_H_
#define LORY_TOOLS_CORPUS_ORDER_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/neighbors.h"
#include "tools/corpus/progress.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

inline constexpr char kOrderFile[] = "order.i32";

struct OrderOptions {
  DocumentOrder order = DocumentOrder::kSimilarity;
  int32_t neighbor_count = 10;
  double near_duplicate = 1;
  uint64_t seed = 1;
};

// The stage: drops near duplicates (in either order, so that the ablation has
// the same documents) and writes order.i32, the numbers of the documents to
// train in the order they are packed.
absl::StatusOr<StageResult> OrderDocuments(std::span<const Neighbor> neighbors,
                                           std::span<const uint8_t> held_out,
                                           const OrderOptions& options,
                                           const std::string& folder,
                                           Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ORDER_H_
