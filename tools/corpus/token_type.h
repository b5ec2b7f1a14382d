#ifndef LORY_TOOLS_CORPUS_TOKEN_TYPE_H_
#define LORY_TOOLS_CORPUS_TOKEN_TYPE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace lory::corpus {

// How other programs store a token id: a whole number, little-endian.
enum class TokenType {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kUint64,
  kInt64
};

// numpy's names, such as uint16; none: no whole number is called so.
absl::string_view NameOf(TokenType type);
std::optional<TokenType> TokenTypeNamed(absl::string_view name);
std::vector<std::string> TokenTypeNames();

int64_t BytesEach(TokenType type);

// Appends the ids in `bytes` to `tokens`.
//
// INVALID_ARGUMENT: no whole number of ids, or one that is not in
// [0, vocabulary_size), which it names with its place.
absl::Status AppendTokens(absl::string_view bytes, TokenType type,
                          int64_t vocabulary_size,
                          std::vector<int32_t>* tokens);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_TOKEN_TYPE_H_
