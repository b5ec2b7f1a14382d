// Lines of texts, or of token ids, as lory-corpus tokenize and decode read them
// from a pipe: an answer a line, whatever the lines say.
#include <algorithm>
#include <sstream>

#include "common/text/byte_pair_tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tokenizers.h"
#include "tools/corpus/token_lines.h"

namespace lory::corpus {

LORY_FUZZ(bytes) {
  static const text::BytePairTokenizer tokenizer(fuzz::SmallModel());
  const std::string input(bytes);
  for (const TokenLinesMode mode :
       {TokenLinesMode::kWhole, TokenLinesMode::kLines,
        TokenLinesMode::kDecode}) {
    std::istringstream in(input);
    std::ostringstream out;
    const absl::Status status = PrintTokenLines(tokenizer, mode, in, out);
    fuzz::CheckError(status, {absl::StatusCode::kInvalidArgument});
    if (!status.ok()) continue;
    const std::string text = out.str();
    const auto lines = std::count(text.begin(), text.end(), '\n');
    const auto expected = std::count(input.begin(), input.end(), '\n') +
                          (!input.empty() && input.back() != '\n' ? 1 : 0);
    LORY_CHECK(lines == (mode == TokenLinesMode::kWhole ? 1 : expected));
  }
}

}  // namespace lory::corpus
