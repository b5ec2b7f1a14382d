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
#include "tools/corpus/neighbor.h"
#include "tools/corpus/neighbor_options.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

// Two documents that say nearly the same.
struct NearPair {
  int32_t dropped = 0;
  int32_t kept = 0;
  double similarity = 0;  // cosine of their vectors
  double overlap = 0;     // of their shingles
};

struct NearDuplicateOptions {
  double similarity = 0.95;         // 1: look for none
  double overlap = 0.5;             // 0: the similarity is enough
  Metric listed = Metric::kCosine;  // what neighbours' similarities are
  // Of held-out text whose shingles are in memory at a time, some ten times as
  // much; texts to train are read once for each part.
  int64_t part_bytes = 128 << 20;
};

// What makes two documents near copies, by their numbers. Thread-safe.
struct NearTest {
  std::function<double(int32_t, int32_t)> similarity;
  std::function<double(int32_t, int32_t)> overlap;
};

// What is trained, or held out: numbers in the store. Their vectors are rows
// of a table, by the same numbers.
using NearSide = std::vector<int32_t>;

// Documents of `train` that are near copies of ones of `held_out`, each with
// the most similar of those; all pairs count. Shingles of each document are
// made once: cost grows with what is alike, not with the number of pairs.
// `on_progress` gets numbers of documents, on any thread.
std::vector<NearPair> FindAcross(
    const NearSide& train, const NearSide& held_out,
    std::span<const float> vectors, int32_t dimensions,
    const NearDuplicateOptions& options,
    const std::function<absl::string_view(int32_t)>& text_of,
    const std::function<void(int64_t)>& on_progress);

// Of each group of near copies all but the earliest. `neighbors` proposes the
// pairs, k a document; both limits of `options` must hold between a document
// and the one it is dropped for, which always stays itself. Documents with
// `gone` set are neither dropped nor kept for. `on_progress` gets numbers of
// proposals, on any thread.
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
  std::span<const Neighbor> neighbors;  // of the documents not held out
  int32_t k = 0;
};

// The stage: drops from training what is a near copy of a held-out document
// (looked for among all of them) and what is one of another document to train
// (among its neighbours). Writes dropped.bytes, a byte a document of the
// store, and near_duplicates.jsonl, the first thousands of pairs for people.
absl::StatusOr<StageResult> DropNearDuplicates(
    const NearDuplicateInputs& inputs, const NearDuplicateOptions& options,
    const std::string& folder, Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_NEAR_DUPLICATES_H_
