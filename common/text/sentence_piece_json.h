#ifndef LORY_COMMON_TEXT_SENTENCE_PIECE_JSON_H_
#define LORY_COMMON_TEXT_SENTENCE_PIECE_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/text/byte_pair_tokenizer.h"

namespace lory::text {

// A tokenizer.json that Hugging Face's tokenizers read as SentencePiece does
// the model that `parts` came from, but that they find special tokens in a text
// where SentencePiece finds text. With the marks of `parts`.
//
// UNIMPLEMENTED: there is none; says for what in the model.
absl::StatusOr<std::string> SentencePiecesAsJson(const BytePairParts& parts);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_SENTENCE_PIECE_JSON_H_
