// The files of a BERT encoder's word list: the first byte says which is there,
// vocab.txt or tokenizer.json; behind the cut a text to encode, where there is
// a second tokenizer_config.json in between.
#include <filesystem>

#include "absl/strings/match.h"
#include "tests/fuzz/fuzz.h"
#include "tools/corpus/encoder/word_piece.h"

namespace lory::corpus {
namespace {

void CheckWords(const WordPiece& words, absl::string_view text) {
  const std::vector<int32_t> all = words.Encode(text, 10'000);
  for (const int32_t id : all) LORY_CHECK(id >= 0 && id <= words.HighestId());
  // What a limit cuts off is the end.
  const std::vector<int32_t> some = words.Encode(text, 3);
  LORY_CHECK(some.size() <= all.size());
  LORY_CHECK(std::equal(some.begin(), some.end(), all.begin()));
  LORY_CHECK(some.size() >= std::min<size_t>(3, all.size()));
}

}  // namespace

LORY_FUZZ(input) {
  if (input.empty()) return;
  const auto& folder = fuzz::Folder();
  const auto [list, rest] = fuzz::CutInTwo(input.substr(1));
  const auto [settings, text] = fuzz::CutInTwo(rest);
  std::filesystem::remove(folder.At("tokenizer.json"));
  folder.Write(input[0] % 2 == 0 ? "vocab.txt" : "tokenizer.json", list);
  folder.Write("tokenizer_config.json", settings.empty() ? "{}" : settings);
  const auto words = WordPiece::Load(folder.path());
  fuzz::CheckError(words.status(), {absl::StatusCode::kInvalidArgument,
                                    absl::StatusCode::kNotFound});
  if (!words.ok()) return;
  CheckWords(*words, text);
  CheckWords(*words, "Na\u00efve [SEP] words, unaffable\xff \u4e2d\u6587!");
}

}  // namespace lory::corpus
