#include "tools/corpus/token_document.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "simdjson.h"
#include "tools/corpus/line_reader.h"

namespace lory::corpus {
namespace {

// Fewer tokens than this say little on who made them, more not much more.
constexpr size_t kLeastCompared = 8;
constexpr size_t kMostCompared = 4096;

// Of a character in UTF-8 all bytes but the first begin with these bits.
bool GoesOn(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

bool IsUtf8(absl::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

// Without the rest of a character at the begin, and the first of one at the
// end, where the tokens may be cut; `text` itself if that does not mend it.
std::string WithoutCutCharacters(const std::string& text, bool cut_begin,
                                 bool cut_end) {
  constexpr size_t kMostCut = 3;  // of the four that a character has at most
  absl::string_view whole = text;
  for (size_t i = 0; cut_begin && i < kMostCut; ++i) {
    if (!whole.empty() && GoesOn(whole.front())) whole.remove_prefix(1);
  }
  for (size_t i = 0; cut_end && i <= kMostCut && i <= whole.size(); ++i) {
    const absl::string_view kept = whole.substr(0, whole.size() - i);
    if (!kept.empty() && IsUtf8(kept)) return std::string(kept);
  }
  return !whole.empty() && IsUtf8(whole) ? std::string(whole) : text;
}

TokenDocument Decoded(std::vector<int32_t> tokens,
                      const text::Tokenizer& tokenizer, bool cut_begin,
                      bool cut_end) {
  TokenDocument document;
  document.text = tokenizer.Decode(tokens);
  document.tokens = std::move(tokens);
  if (document.text.size() > kMaxLineBytes) {
    document.status = absl::OutOfRangeError(
        absl::StrCat("its text is longer than ", kMaxLineBytes >> 20, " MiB"));
    return document;
  }
  if (IsUtf8(document.text)) return document;
  document.text = WithoutCutCharacters(document.text, cut_begin, cut_end);
  if (!IsUtf8(document.text)) {
    document.status =
        absl::InvalidArgumentError("the text of its tokens is not UTF-8");
  }
  return document;
}

}  // namespace

absl::StatusOr<SampleDocuments> DocumentsOf(absl::string_view bytes,
                                            TokenType type,
                                            const text::Tokenizer& tokenizer) {
  std::vector<int32_t> tokens;
  LORY_RETURN_IF_ERROR(
      AppendTokens(bytes, type, tokenizer.vocabulary_size(), &tokens));
  SampleDocuments found;
  auto begin = tokens.begin();
  int64_t number = 0;
  do {
    const auto end =
        std::find(begin, tokens.end(), tokenizer.end_of_document_id());
    if (begin == end) {
      ++found.empty;
    } else {
      found.documents.push_back(Decoded({begin, end}, tokenizer,
                                        begin == tokens.begin(),
                                        end == tokens.end()));
      found.documents.back().number = number;
    }
    ++number;
    begin = end == tokens.end() ? end : end + 1;
  } while (begin != tokens.end());
  return found;
}

std::optional<bool> IsMadeBy(const text::Tokenizer& tokenizer,
                             const std::vector<int32_t>& tokens) {
  std::vector<int32_t> spoken;
  for (size_t i = 0; i < std::min(tokens.size(), kMostCompared); ++i) {
    if (!tokenizer.TokenText(tokens[i]).empty()) spoken.push_back(tokens[i]);
  }
  if (spoken.size() < kLeastCompared) return std::nullopt;
  const std::vector<int32_t> again = tokenizer.Encode(tokenizer.Decode(spoken));
  const auto same = [](auto a, auto a_end, auto b, auto b_end) {
    return std::mismatch(a, a_end, b, b_end).first - a;
  };
  const auto at_begin =
      same(spoken.begin(), spoken.end(), again.begin(), again.end());
  const auto at_end =
      same(spoken.rbegin(), spoken.rend(), again.rbegin(), again.rend());
  const auto count = static_cast<int64_t>(spoken.size());
  // Where marks were taken out, words met that were apart.
  const bool has_marks =
      count < std::min<int64_t>(tokens.size(), kMostCompared);
  return at_begin + at_end >= (has_marks ? count / 2 : count - count / 10);
}

}  // namespace lory::corpus
