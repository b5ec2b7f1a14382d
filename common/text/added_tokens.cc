#include "common/text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"

namespace lory::text {

AddedTokens::AddedTokens(std::vector<Token> tokens) {
  for (Token& token : tokens) {
    any_ |= !token.is_special;
    const auto first = static_cast<unsigned char>(token.content.front());
    tokens_[first].push_back(std::move(token));
  }
  for (std::vector<Token>& some : tokens_) {
    std::stable_sort(some.begin(), some.end(),
                     [](const Token& a, const Token& b) {
                       return a.content.size() > b.content.size();
                     });
  }
}

const AddedTokens::Token* AddedTokens::TokenAt(absl::string_view text) const {
  for (const Token& token : tokens_[static_cast<unsigned char>(text.front())]) {
    if (absl::StartsWith(text, token.content)) return &token;
  }
  return nullptr;
}

size_t AddedTokens::BytesAt(absl::string_view text) const {
  if (text.empty()) return 0;
  const Token* token = TokenAt(text);
  return token == nullptr ? 0 : token->content.size();
}

void AddedTokens::Split(
    absl::string_view text,
    absl::FunctionRef<void(absl::string_view text, int32_t id)> found) const {
  size_t begin = 0;
  for (size_t at = 0; any_ && at < text.size();) {
    const Token* token = TokenAt(text.substr(at));
    if (token != nullptr && !token->is_special) {
      if (begin < at) found(text.substr(begin, at - begin), -1);
      found(text.substr(at, token->content.size()), token->id);
      begin = at + token->content.size();
    }
    at += token == nullptr ? 1 : token->content.size();
  }
  if (begin < text.size()) found(text.substr(begin), -1);
}

}  // namespace lory::text
