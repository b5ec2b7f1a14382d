#ifndef LORY_TOOLS_CORPUS_TOKENIZER_STAGE_H_
#define LORY_TOOLS_CORPUS_TOKENIZER_STAGE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "common/text/tokenizer.h"
#include "common/text/tokenizer_file.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

using ::lory::text::kSentencePieceFile;
using ::lory::text::kTokenizerFile;

// Trains a tokenizer on the documents that are not held out, of which every
// n-th is taken so that they have some `megabytes` of text, and writes
// tokenizer.json into `folder`.
absl::StatusOr<StageResult> TrainTokenizer(const DocumentStore& store,
                                           std::span<const uint8_t> held_out,
                                           int64_t vocabulary_size,
                                           int64_t megabytes,
                                           const std::string& folder,
                                           Progress& progress);

// The same with SentencePiece, which writes tokenizer.model. It holds lines of
// no more than `megabytes`, and what SentencePiece makes of them.
// INVALID_ARGUMENT: too few tokens for the characters that there are.
absl::StatusOr<StageResult> TrainSentencePieceTokenizer(
    const DocumentStore& store, std::span<const uint8_t> held_out,
    int64_t vocabulary_size, int64_t megabytes, const std::string& folder,
    Progress& progress);

// The tokenizer at `path`. FAILED_PRECONDITION: it has no token that ends
// documents.
absl::StatusOr<std::unique_ptr<text::Tokenizer>> LoadForCorpus(
    const std::string& path);

// Takes over the tokenizer at `path`, under the name for its kind; as
// LoadForCorpus.
absl::StatusOr<StageResult> TakeTokenizer(const std::string& path,
                                          const std::string& folder);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_TOKENIZER_STAGE_H_
