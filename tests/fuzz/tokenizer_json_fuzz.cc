// tokenizer.json, or further members of a small one whose vocabulary is whole;
// behind the cut a text to encode.
#include "common/text/tokenizer_json.h"

#include "absl/strings/match.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tokenizers.h"

namespace lory::text {

LORY_FUZZ(input) {
  const auto [file, text] = fuzz::CutInTwo(input);
  auto parts = ParseTokenizerJson(IsTokenizerJson(file)
                                      ? std::string(file)
                                      : fuzz::SmallTokenizerJson(file));
  fuzz::CheckError(parts.status(), {absl::StatusCode::kInvalidArgument});
  if (!parts.ok()) return;
  const BytePairTokenizer tokenizer(*std::move(parts));
  const std::string end = tokenizer.end_of_document();
  for (const absl::string_view sample :
       {text, absl::string_view("  ab abab\n\n\u00e9\xff 12"),
        absl::string_view(end)}) {
    fuzz::CheckTokens(tokenizer, sample);
  }
}

}  // namespace lory::text
