#include "worker/serve/front.h"

#include <algorithm>
#include <utility>

namespace lory::serve {
namespace {

void Append(const std::vector<int32_t>& more, std::vector<int64_t>& tokens) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

}  // namespace

std::vector<int64_t> Front::Encode(absl::string_view text) const {
  const lory::text::Tokenizer& by = *tokenizer.tokenizer;
  const std::vector<int32_t> before = by.marks().before;
  std::vector<std::pair<std::string, int32_t>> marks;
  if (by.end_of_document_id() >= 0) {
    marks.emplace_back(tokenizer.end_of_document, by.end_of_document_id());
  }
  if (!before.empty()) marks.emplace_back(by.begin_of_text(), before.front());
  std::erase_if(marks, [](const auto& mark) { return mark.first.empty(); });
  std::vector<int64_t> tokens;
  while (true) {
    size_t first = absl::string_view::npos;
    const std::pair<std::string, int32_t>* found = nullptr;
    for (const auto& mark : marks) {
      const size_t at = text.find(mark.first);
      if (at < first) {
        first = at;
        found = &mark;
      }
    }
    Append(by.Encode(text.substr(0, first)), tokens);
    if (found == nullptr) return tokens;
    tokens.push_back(found->second);
    text.remove_prefix(first + found->first.size());
  }
}

std::vector<int64_t> Front::EncodePrompt(absl::string_view text,
                                         bool add_special_tokens) const {
  if (!add_special_tokens) return Encode(text);
  const lory::text::TextMarks marks = tokenizer.tokenizer->marks();
  std::vector<int64_t> tokens;
  Append(marks.before, tokens);
  const std::vector<int64_t> inside = Encode(text);
  tokens.insert(tokens.end(), inside.begin(), inside.end());
  Append(marks.after, tokens);
  return tokens;
}

std::string Front::DecodeMarked(const std::vector<int64_t>& tokens) const {
  const int32_t end = tokenizer.tokenizer->end_of_document_id();
  std::string text;
  std::vector<int64_t> piece;
  for (const int64_t token : tokens) {
    if (token != end) {
      piece.push_back(token);
      continue;
    }
    text += Decode(piece) + tokenizer.end_of_document;
    piece.clear();
  }
  return text + Decode(piece);
}

}  // namespace lory::serve
