#ifndef LORY_TOOLS_CORPUS_NEAR_DUPLICATES_H_
#define LORY_TOOLS_CORPUS_NEAR_DUPLICATES_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/corpus/crowd.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/near_pair.h"
#include "tools/corpus/neighbor.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

// Of each group of near copies all but the earliest. `neighbors` proposes the
// pairs, k a document with their cosines, the most similar first; both limits
// must hold between a document and the one it is dropped for, which always
// stays itself. Where a list is full of documents that are similar enough there
// may be more: all documents with such lists are compared with each other. So
// no two stay that are near copies, if the lists have all they have room for.
// Documents with `gone` set are neither dropped nor kept for. `on_progress`
// gets numbers of proposals, on any thread.
std::vector<NearPair> FindNearDuplicates(
    std::span<const Neighbor> neighbors, int32_t k,
    std::span<const uint8_t> gone, const NearLimits& limits,
    const NearTest& test,
    const std::function<void(int64_t)>& on_progress = [](int64_t) {});

inline constexpr char kDroppedFile[] = "dropped.bytes";
inline constexpr char kNearDuplicatesFile[] = "near_duplicates.jsonl";

// What the stage reads. References live as long as the call.
struct NearDuplicateInputs {
  const DocumentStore& store;
  std::span<const float> vectors;
  int32_t dimensions = 0;
  std::span<const uint8_t> held_out;
  // Of the documents not held out, by the cosine.
  std::span<const Neighbor> neighbors;
  int32_t k = 0;
};

// The stage: drops from training what is a near copy of a held-out document (by
// its shingles alone, looked for among all of them; by the vectors where
// shingles do not count) and what is one of another document to train (by both,
// as FindNearDuplicates). Writes dropped.bytes, a byte a document of the store,
// and near_duplicates.jsonl, the first thousands of pairs for people.
// FAILED_PRECONDITION: nothing is left to train.
absl::StatusOr<StageResult> DropNearDuplicates(
    const NearDuplicateInputs& inputs, const NearLimits& limits,
    const std::string& folder, Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_NEAR_DUPLICATES_H_
