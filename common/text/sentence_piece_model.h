#ifndef LORY_COMMON_TEXT_SENTENCE_PIECE_MODEL_H_
#define LORY_COMMON_TEXT_SENTENCE_PIECE_MODEL_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/text/byte_pair_tokenizer.h"

namespace lory::text {

// Reads a tokenizer.model of SentencePiece: BPE with tokens for all bytes, as
// LLaMA 1 and 2 and Mistral have it. What ends documents: EndOfDocumentRank.
//
// INVALID_ARGUMENT names what is wrong, or what is not supported.
absl::StatusOr<BytePairParts> ParseSentencePieceModel(absl::string_view bytes);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_SENTENCE_PIECE_MODEL_H_
