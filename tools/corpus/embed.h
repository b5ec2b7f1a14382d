#ifndef LORY_TOOLS_CORPUS_EMBED_H_
#define LORY_TOOLS_CORPUS_EMBED_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/embedder.h"
#include "tools/corpus/kept_blocks.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

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
