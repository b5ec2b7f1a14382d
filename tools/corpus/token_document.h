#ifndef LORY_TOOLS_CORPUS_TOKEN_DOCUMENT_H_
#define LORY_TOOLS_CORPUS_TOKEN_DOCUMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/text/tokenizer.h"
#include "tools/corpus/token_type.h"

namespace lory::corpus {

// A document that came as tokens.
struct TokenDocument {
  int64_t number = 0;           // in its sample
  std::vector<int32_t> tokens;  // without its end mark
  // What they stand for, without what of it is cut off: a sample of a fixed
  // number of tokens may begin and end inside a character.
  std::string text;
  // INVALID_ARGUMENT: the text is no UTF-8. OUT_OF_RANGE: it is too long.
  absl::Status status;
};

struct SampleDocuments {
  std::vector<TokenDocument> documents;  // those that have tokens
  int64_t empty = 0;                     // others, numbered with them
};

// The documents in the tokens of a sample: the end mark of `tokenizer` ends
// one, so that a sample packed from several has several; the end of the sample
// ends the last. At least one, which may be empty.
//
// INVALID_ARGUMENT: an id outside the vocabulary.
absl::StatusOr<SampleDocuments> DocumentsOf(absl::string_view bytes,
                                            TokenType type,
                                            const text::Tokenizer& tokenizer);

// Whether `tokenizer` makes about the same tokens out of the document's text,
// which another's would not come near to; none: too short to tell. Marks that
// stand for no text may be anywhere, and a text cut out of another may begin
// and end with other tokens.
std::optional<bool> IsMadeBy(const text::Tokenizer& tokenizer,
                             const std::vector<int32_t>& tokens);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_TOKEN_DOCUMENT_H_
