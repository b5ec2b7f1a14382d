#ifndef LORY_TOOLS_CORPUS_TOKEN_LINES_H_
#define LORY_TOOLS_CORPUS_TOKEN_LINES_H_

#include <istream>
#include <ostream>

#include "absl/status/status.h"
#include "common/text/tokenizer.h"

namespace lory::corpus {

enum class TokenLinesMode {
  kWhole,   // all of the input is one text; to one array of ids
  kLines,   // a text a line, as a JSON string; to an array a line
  kDecode,  // an array of ids a line; to a text a line, as a JSON string
};

// Writes the token ids of texts, or the texts of token ids, as JSON lines.
// Bytes that are no UTF-8 are written as U+FFFD.
//
// INVALID_ARGUMENT names a line that is not what it must be; what was before
// it is written. DATA_LOSS: `in` cannot be read or `out` not be written.
absl::Status PrintTokenLines(const text::Tokenizer& tokenizer,
                             TokenLinesMode mode, std::istream& in,
                             std::ostream& out);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_TOKEN_LINES_H_
