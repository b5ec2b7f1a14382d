#ifndef LORY_TOOLS_CORPUS_NEIGHBORS_H_
#define LORY_TOOLS_CORPUS_NEIGHBORS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

struct Neighbor {
  int32_t document = -1;  // -1: there are fewer than k others
  float similarity = 0;

  bool operator==(const Neighbor&) const = default;
};

// The k nearest others of every row by inner product, exactly: k entries a
// row, the most similar first, of equal ones the smaller number first.
// `on_progress` is told how many rows are done.
std::vector<Neighbor> FindNeighbors(
    std::span<const float> rows, int32_t dimensions, int32_t k,
    const std::function<void(int64_t)>& on_progress);

// For each query the row with the greatest inner product, of equal ones the
// smaller number; -1 when there is none. `on_progress` is told how many queries
// are done.
std::vector<Neighbor> FindNearest(
    std::span<const float> queries, std::span<const float> rows,
    int32_t dimensions, const std::function<void(int64_t)>& on_progress);

inline constexpr char kNeighborsFile[] = "neighbors.bin";

// The stage: neighbours of the documents that are not held out. Numbers are
// places among those.
absl::StatusOr<StageResult> Neighbors(std::span<const float> vectors,
                                      std::span<const uint8_t> held_out,
                                      int32_t dimensions, int32_t k,
                                      const std::string& folder,
                                      Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_NEIGHBORS_H_
