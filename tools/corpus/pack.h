#ifndef LORY_TOOLS_CORPUS_PACK_H_
#define LORY_TOOLS_CORPUS_PACK_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/stage.h"
#include "tools/corpus/tokenize.h"

namespace lory::corpus {

// Documents end to end, as one row of tokens that is cut into contexts.
// Immutable; thread-safe. Keeps references to its arguments.
class TokenStream {
 public:
  TokenStream(const TokenStore& tokens, std::span<const int32_t> documents);

  int64_t size() const { return begins_.back(); }
  // Place of the first token of the n-th document, or the end.
  int64_t BeginOf(int64_t n) const { return begins_[n]; }
  // Copies the tokens from `begin` on.
  void Copy(int64_t begin, std::span<int32_t> out) const;

 private:
  const TokenStore& tokens_;
  const std::span<const int32_t> documents_;
  std::vector<int64_t> begins_;  // one more than documents
};

// Contexts are cut from the stream one after the other and stored in another
// order, so that a batch mixes topics while each context keeps to its own:
// the n-th stored is the n-th of a permutation that the seed decides.
int64_t PackedPlaceOf(uint64_t seed, int64_t sequence_count, int64_t stored);

// Mean cosine of documents that follow each other inside a context of
// `context` tokens; 0 when there are none.
double MeanNeighborSimilarity(const TokenStream& stream,
                              std::span<const int32_t> documents,
                              std::span<const float> vectors,
                              int32_t dimensions, int64_t context);

inline constexpr char kManifestFile[] = "manifest.json";
// Of shards: "train-00000", "held-out-DOMAIN", each .bin and .idx.
inline constexpr char kTrainPrefix[] = "train-";
inline constexpr char kHeldOutPrefix[] = "held-out-";
inline constexpr char kDocumentsFile[] = "documents.jsonl";
// Of each stored training sequence, in the order of the shards, an int64: where
// in the stream its first token is.
inline constexpr char kSequencesFile[] = "sequences.i64";

// What the last stage puts together. References live as long as the call.
struct PackInputs {
  const CorpusSpec& spec;
  const DocumentStore& store;
  const TokenStore& tokens;
  std::span<const float> vectors;
  std::span<const uint8_t> held_out;
  std::span<const int32_t> order;
  std::string tokenizer_path;
  int64_t vocabulary_size = 0;
};

// The stage: writes the dataset into `folder` (shards, held-out shards,
// tokenizer, documents.jsonl, sequences.i64, and last of all manifest.json),
// after removing the one that was there. FAILED_PRECONDITION: not even one
// context of text.
absl::StatusOr<StageResult> Pack(const PackInputs& inputs,
                                 const std::string& folder, Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_PACK_H_
