#include "worker/serve/front.h"

namespace lory::serve {

std::vector<int64_t> Front::Encode(absl::string_view text) const {
  return lory::text::EncodeWithMarks(*tokenizer.tokenizer,
                                     tokenizer.end_of_document, text);
}

std::vector<int64_t> Front::EncodePrompt(absl::string_view text,
                                         bool add_special_tokens) const {
  if (!add_special_tokens) return Encode(text);
  return lory::text::EncodeBetweenMarks(*tokenizer.tokenizer,
                                        tokenizer.end_of_document, text);
}

std::string Front::Spelling(int64_t token) const {
  if (token == tokenizer.tokenizer->end_of_document_id()) {
    return tokenizer.end_of_document;
  }
  const std::vector<int32_t> before = tokenizer.tokenizer->marks().before;
  if (!before.empty() && token == before.front()) {
    return tokenizer.tokenizer->begin_of_text();
  }
  return TokenText(token);
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
