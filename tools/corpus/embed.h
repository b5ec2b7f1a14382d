#ifndef LORY_TOOLS_CORPUS_EMBED_H_
#define LORY_TOOLS_CORPUS_EMBED_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/progress.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/embedder.h"
#include "tools/corpus/kept_blocks.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

// Document vectors of unit length (zero for one without words), a row each:
// TF-IDF over lower-case words, folded to `dimensions` by a signed hash
// (Weinberger and others, ICML 2009), so that the cosine of two documents is
// the product of their rows up to hash noise. A stand-in for a trained
// encoder such as Contriever: no weights, no licence, good enough to put
// related documents together.
//
// weight = (1 + ln count in document) x ln((1 + documents) / (1 + documents
// with the word)).
std::vector<float> EmbedDocuments(
    int64_t count, const std::function<absl::string_view(int64_t)>& text_of,
    int32_t dimensions, const std::function<void(int64_t)>& on_progress);

// Cosine of rows `a` and `b`, if they have unit length; their product if not.
double Similarity(const float* a, const float* b, int32_t dimensions);

// Divides a row by its length; zeros stay.
void ToUnitLength(float* row, int32_t dimensions);

inline constexpr char kVectorsFile[] = "vectors.f32";

// The stage: writes vectors.f32, a row a document, a block of documents at a
// time, so that memory does not grow with the corpus. Those of a slow embedder
// are kept in `kept` as well; one that is there already is not made again.
absl::StatusOr<StageResult> EmbedStore(const DocumentStore& store,
                                       Embedder& embedder, KeptBlocks& kept,
                                       const std::string& folder,
                                       Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_EMBED_H_
