#ifndef LORY_TOOLS_CORPUS_NEIGHBORS_H_
#define LORY_TOOLS_CORPUS_NEIGHBORS_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/corpus/neighbor.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

inline constexpr char kNeighborsFile[] = "neighbors.bin";

// The stage: neighbours of the documents that are not held out, k places each,
// the most similar first, of equal ones the smaller number first. Numbers are
// places among those documents. `vectors` may be a mapped file of any size.
absl::StatusOr<StageResult> Neighbors(std::span<const float> vectors,
                                      std::span<const uint8_t> held_out,
                                      int32_t dimensions, int32_t k,
                                      const std::string& folder,
                                      Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_NEIGHBORS_H_
