// A regular expression as tokenizer.json files have them, behind the cut a text
// to look for it in: matches are ascending, never empty, and whole characters.
#include "common/text/split_pattern.h"

#include "common/text/unicode.h"
#include "tests/fuzz/fuzz.h"

namespace lory::text {
namespace {

bool IsBoundary(absl::string_view text, size_t at) {
  return at == text.size() ||
         (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) != 0x80);
}

void CheckMatches(const SplitPattern& pattern, absl::string_view text) {
  size_t end_before = 0;
  pattern.ForEachMatch(text, [&](size_t begin, size_t end) {
    LORY_CHECK(begin >= end_before && end > begin && end <= text.size());
    LORY_CHECK(IsBoundary(text, begin) && IsBoundary(text, end));
    end_before = end;
  });
}

}  // namespace

LORY_FUZZ(input) {
  const auto [expression, bytes] = fuzz::CutInTwo(input);
  const std::string text = EncodeUtf8(DecodeUtf8(bytes));
  for (const auto& pattern :
       {SplitPattern::Compile(expression), SplitPattern::Literal(expression)}) {
    fuzz::CheckError(pattern.status(), {absl::StatusCode::kInvalidArgument});
    if (!pattern.ok()) continue;
    CheckMatches(*pattern, text);
    CheckMatches(*pattern, "  I'll say 12,345 \u00e9t\u00e9s\r\n");
  }
}

}  // namespace lory::text
