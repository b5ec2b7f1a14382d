#ifndef LORY_TOOLS_CORPUS_ORDER_H_
#define LORY_TOOLS_CORPUS_ORDER_H_

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/neighbor.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

inline constexpr char kOrderFile[] = "order.i32";

struct OrderOptions {
  DocumentOrder order = DocumentOrder::kSimilarity;
  int32_t neighbor_count = 10;
  Graph graph = Graph::kSymmetric;
  uint64_t seed = 1;
};

// What of the options this order does not look at though it was asked for, or
// looks for and does not get: key of the spec, and what to say of it.
std::vector<std::pair<std::string, std::string>> WhatIsNotUsed(
    const OrderOptions& options);

// The stage: writes order.i32, the numbers of the documents to train in the
// order they are packed. `held_out` and `copies` have a byte a document;
// `neighbors` numbers those that are not held out. What comes more than once
// comes in passes: each is an order of its own of what is left, so that a
// document does not meet itself.
absl::StatusOr<StageResult> OrderDocuments(std::span<const Neighbor> neighbors,
                                           std::span<const uint8_t> held_out,
                                           std::span<const uint8_t> copies,
                                           const OrderOptions& options,
                                           const std::string& folder,
                                           Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ORDER_H_
