// tokenizer.model of SentencePiece: the fields of a small model, with the input
// behind them, or, where the first byte is odd, the input alone. Behind the cut
// a text to encode.
#include "common/text/sentence_piece_model.h"
#include "common/text/wire_reader.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tokenizers.h"
#include "tests/support/sentence_piece_file.h"

namespace lory::text {

LORY_FUZZ(input) {
  if (input.empty()) return;
  static const std::string small = testing::SentencePieceFile().Bytes();
  const auto [more, text] = fuzz::CutInTwo(input.substr(1));
  const bool alone = input[0] % 2 == 1;
  const std::string bytes = absl::StrCat(alone ? "" : small, more);
  size_t taken = 0;
  WireReader fields(bytes);
  while (fields.Next()) taken += fields.bytes().size();
  LORY_CHECK(taken <= bytes.size());
  auto parts = ParseSentencePieceModel(bytes);
  fuzz::CheckError(parts.status(), {absl::StatusCode::kInvalidArgument});
  if (!parts.ok()) return;
  const BytePairTokenizer tokenizer(*std::move(parts));
  const std::string end = tokenizer.end_of_document();
  for (const absl::string_view sample :
       {text, absl::string_view("  ab \xff <t>abc"), absl::string_view(end)}) {
    fuzz::CheckTokens(tokenizer, sample);
  }
}

}  // namespace lory::text
