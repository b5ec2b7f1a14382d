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

TokenDocument Decoded(std::vector<int32_t> tokens,
                      const text::Tokenizer& tokenizer) {
  TokenDocument document;
  document.text = tokenizer.Decode(tokens);
  document.tokens = std::move(tokens);
  const std::string& text = document.text;
  if (text.size() > kMaxLineBytes) {
    document.status = absl::OutOfRangeError(
        absl::StrCat("its text is longer than ", kMaxLineBytes >> 20, " MiB"));
  } else if (!simdjson::validate_utf8(text.data(), text.size())) {
    document.status =
        absl::InvalidArgumentError("the text of its tokens is not UTF-8");
  }
  return document;
}

}  // namespace

absl::StatusOr<std::vector<TokenDocument>> DocumentsOf(
    absl::string_view bytes, TokenType type, const text::Tokenizer& tokenizer) {
  std::vector<int32_t> tokens;
  LORY_RETURN_IF_ERROR(
      AppendTokens(bytes, type, tokenizer.vocabulary_size(), &tokens));
  std::vector<TokenDocument> documents;
  auto begin = tokens.begin();
  do {
    const auto end =
        std::find(begin, tokens.end(), tokenizer.end_of_document_id());
    documents.push_back(Decoded({begin, end}, tokenizer));
    begin = end == tokens.end() ? end : end + 1;
  } while (begin != tokens.end());
  return documents;
}

std::optional<bool> IsMadeBy(const text::Tokenizer& tokenizer,
                             const std::vector<int32_t>& tokens) {
  std::vector<int32_t> spoken;
  for (size_t i = 0; i < std::min(tokens.size(), kMostCompared); ++i) {
    if (!tokenizer.Decode({tokens[i]}).empty()) spoken.push_back(tokens[i]);
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
  return 2 * (at_begin + at_end) >= static_cast<int64_t>(spoken.size());
}

}  // namespace lory::corpus
