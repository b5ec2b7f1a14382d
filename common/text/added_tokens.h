#ifndef LORY_COMMON_TEXT_ADDED_TOKENS_H_
#define LORY_COMMON_TEXT_ADDED_TOKENS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace lory::text {

// Tokens that are found in a text as they are, before it is cut into words:
// the longest at the first place where there is one. Those that are special
// are found, too, but count as text: documents cannot forge what stands
// between them. Thread-safe once it is made.
class AddedTokens {
 public:
  struct Token {
    std::string content;  // never empty
    int32_t id = -1;
    bool is_special = false;
  };

  AddedTokens() = default;
  explicit AddedTokens(std::vector<Token> tokens);

  // Whether there is one that is not special.
  bool any() const { return any_; }

  // Bytes of the token that `text` begins with; 0: it begins with none.
  size_t BytesAt(absl::string_view text) const;

  // The text between those found, with -1, and each of them with its id.
  void Split(
      absl::string_view text,
      absl::FunctionRef<void(absl::string_view text, int32_t id)> found) const;

 private:
  const Token* TokenAt(absl::string_view text) const;

  // By the first byte of their content, the longest first.
  std::array<std::vector<Token>, 256> tokens_;
  bool any_ = false;
};

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_ADDED_TOKENS_H_
