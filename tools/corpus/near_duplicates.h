#ifndef LORY_TOOLS_CORPUS_NEAR_DUPLICATES_H_
#define LORY_TOOLS_CORPUS_NEAR_DUPLICATES_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/progress.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/near_pair.h"
#include "tools/corpus/neighbor.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

struct NearDuplicateOptions {
  double similarity = 0.95;  // 1: look for none
  double overlap = 0.5;      // 0: the similarity is enough
  // For the index of held-out shingles; decides on nothing but time.
  int64_t index_bytes = int64_t{1} << 30;
};

// What makes two documents near copies, by their numbers. Thread-safe.
struct NearTest {
  std::function<double(int32_t, int32_t)> similarity;
  std::function<double(int32_t, int32_t)> overlap;
};

// Of each group of near copies all but the earliest. `neighbors` proposes the
// pairs, k a document with their cosines; both limits of `options` must hold
// between a document and the one it is dropped for, which always stays itself.
// Documents with `gone` set are neither dropped nor kept for. `on_progress`
// gets numbers of proposals, on any thread.
std::vector<NearPair> FindNearDuplicates(
    std::span<const Neighbor> neighbors, int32_t k,
    std::span<const uint8_t> gone, const NearDuplicateOptions& options,
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
// among its neighbours). Writes dropped.bytes, a byte a document of the store,
// and near_duplicates.jsonl, the first thousands of pairs for people.
// FAILED_PRECONDITION: nothing is left to train.
absl::StatusOr<StageResult> DropNearDuplicates(
    const NearDuplicateInputs& inputs, const NearDuplicateOptions& options,
    const std::string& folder, Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_NEAR_DUPLICATES_H_
