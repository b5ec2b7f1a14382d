#ifndef LORY_COMMON_TEXT_TOKENIZER_JSON_H_
#define LORY_COMMON_TEXT_TOKENIZER_JSON_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/text/byte_pair_tokenizer.h"

namespace lory::text {

// Reads a tokenizer.json in the layout of Hugging Face's tokenizers, with what
// its post_processor puts around a text.
//
// The token that ends documents is the added token of the first of these names
// that there is: <|endoftext|>, </s>, <|end_of_text|>, <eos>,
// <｜end▁of▁sentence｜>, <|end▁of▁sentence|>.
//
// INVALID_ARGUMENT names what is wrong, or what the file asks for that is not
// supported.
absl::StatusOr<BytePairParts> ParseTokenizerJson(absl::string_view json);

// Whether a file that begins so is JSON, and no SentencePiece model.
bool IsTokenizerJson(absl::string_view bytes);

// Whether a token of this text ends documents, the smaller the number the more
// so; -1: it does not.
int EndOfDocumentRank(absl::string_view token);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_TOKENIZER_JSON_H_
