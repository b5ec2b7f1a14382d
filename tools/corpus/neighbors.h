#ifndef LORY_TOOLS_CORPUS_NEIGHBORS_H_
#define LORY_TOOLS_CORPUS_NEIGHBORS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "nlohmann/json.hpp"
#include "tools/corpus/neighbor_options.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

inline constexpr char kNeighborsFile[] = "neighbors.bin";

// The documents that are not held out: the n-th of them is document n of the
// file and of what is read from it.
std::vector<int32_t> NumbersWithout(std::span<const uint8_t> held_out);

// What decides on the lists: an exact search has neither lists nor seed.
// `documents`: those that are not held out.
nlohmann::ordered_json StageOptionsOf(const NeighborOptions& options,
                                      int64_t documents);

// The stage: neighbours of the documents that are not held out, k places each,
// the most similar first, of equal ones the smaller number first. Numbers are
// places among those documents. `vectors` may be a mapped file of any size.
absl::StatusOr<StageResult> Neighbors(std::span<const float> vectors,
                                      std::span<const uint8_t> held_out,
                                      int32_t dimensions,
                                      const NeighborOptions& options,
                                      const std::string& folder,
                                      Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_NEIGHBORS_H_
