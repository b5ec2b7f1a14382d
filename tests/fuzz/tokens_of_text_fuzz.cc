// Text to tokens and back: nothing is lost by tokens of bytes, whatever the
// bytes; by SentencePiece's only what it says, that what is no UTF-8 becomes
// U+FFFD and its mark a space.
#include "absl/strings/str_replace.h"
#include "common/text/sentence_piece_model.h"
#include "common/text/tokenizer_json.h"
#include "common/text/unicode.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tokenizers.h"
#include "tests/support/sentence_piece_file.h"

namespace lory::text {
namespace {

constexpr char kByteLevel[] =
    R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,)"
    R"("use_regex":true},"decoder":{"type":"ByteLevel"})";

BytePairTokenizer Made(absl::StatusOr<BytePairParts> parts) {
  LORY_CHECK(parts.ok());
  return BytePairTokenizer(*std::move(parts));
}

void CheckBackAgain(const Tokenizer& tokenizer, absl::string_view text,
                    absl::string_view expected) {
  fuzz::CheckTokens(tokenizer, text);
  LORY_CHECK(tokenizer.Decode(tokenizer.Encode(text)) == expected);
}

// FirstWordBytes and its expression are one thing said twice.
void CheckOwnWords(absl::string_view text) {
  static const auto pattern = SplitPattern::Compile(kOwnWords);
  LORY_CHECK(pattern.ok());
  size_t end_before = 0;
  pattern->ForEachMatch(text, [&](size_t begin, size_t end) {
    LORY_CHECK(begin == end_before);
    LORY_CHECK(FirstWordBytes(text.substr(begin)) == end - begin);
    end_before = end;
  });
  LORY_CHECK(end_before == text.size());
}

}  // namespace

LORY_FUZZ(text) {
  static const BytePairTokenizer own(fuzz::SmallModel());
  static const BytePairTokenizer gpt2 =
      Made(ParseTokenizerJson(fuzz::SmallTokenizerJson(kByteLevel)));
  static const BytePairTokenizer pieces =
      Made(ParseSentencePieceModel(testing::SentencePieceFile().Bytes()));
  CheckBackAgain(own, text, text);
  CheckBackAgain(gpt2, text, text);
  const std::string valid = EncodeUtf8(DecodeUtf8(text));
  const std::string spaced = absl::StrReplaceAll(valid, {{kSpaceMark, " "}});
  CheckBackAgain(pieces, text, spaced);
  CheckBackAgain(pieces, valid, spaced);
  CheckOwnWords(valid);
}

}  // namespace lory::text
