#include "tools/corpus/token_type.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace lory::corpus {
namespace {

struct TypeFacts {
  TokenType type;
  const char* name;
  int64_t bytes;
};

constexpr TypeFacts kTypes[] = {
    {TokenType::kUint8, "uint8", 1},   {TokenType::kInt8, "int8", 1},
    {TokenType::kUint16, "uint16", 2}, {TokenType::kInt16, "int16", 2},
    {TokenType::kUint32, "uint32", 4}, {TokenType::kInt32, "int32", 4},
    {TokenType::kUint64, "uint64", 8}, {TokenType::kInt64, "int64", 8}};

const TypeFacts& FactsOf(TokenType type) {
  return kTypes[static_cast<size_t>(type)];
}

template <typename T>
absl::Status AppendAs(absl::string_view bytes, int64_t vocabulary_size,
                      std::vector<int32_t>* tokens) {
  const size_t count = bytes.size() / sizeof(T);
  tokens->reserve(tokens->size() + count);
  for (size_t i = 0; i < count; ++i) {
    T id;
    std::memcpy(&id, bytes.data() + i * sizeof(T), sizeof(T));
    // One comparison: what is negative is very large without its sign.
    if (static_cast<uint64_t>(id) >= static_cast<uint64_t>(vocabulary_size)) {
      return absl::InvalidArgumentError(
          absl::StrCat("token ", i, " is ", id, ", the tokenizer has ids 0 to ",
                       vocabulary_size - 1,
                       " (tokenizer.file must be the one that made them)"));
    }
    tokens->push_back(static_cast<int32_t>(id));
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view NameOf(TokenType type) { return FactsOf(type).name; }

std::optional<TokenType> TokenTypeNamed(absl::string_view name) {
  for (const TypeFacts& facts : kTypes) {
    if (name == facts.name) return facts.type;
  }
  return std::nullopt;
}

std::vector<std::string> TokenTypeNames() {
  std::vector<std::string> names;
  for (const TypeFacts& facts : kTypes) names.push_back(facts.name);
  return names;
}

int64_t BytesEach(TokenType type) { return FactsOf(type).bytes; }

absl::Status AppendTokens(absl::string_view bytes, TokenType type,
                          int64_t vocabulary_size,
                          std::vector<int32_t>* tokens) {
  if (bytes.size() % static_cast<size_t>(BytesEach(type)) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(bytes.size(), " bytes are no whole number of tokens of ",
                     NameOf(type)));
  }
  switch (type) {
    case TokenType::kUint8:
      return AppendAs<uint8_t>(bytes, vocabulary_size, tokens);
    case TokenType::kInt8:
      return AppendAs<int8_t>(bytes, vocabulary_size, tokens);
    case TokenType::kUint16:
      return AppendAs<uint16_t>(bytes, vocabulary_size, tokens);
    case TokenType::kInt16:
      return AppendAs<int16_t>(bytes, vocabulary_size, tokens);
    case TokenType::kUint32:
      return AppendAs<uint32_t>(bytes, vocabulary_size, tokens);
    case TokenType::kInt32:
      return AppendAs<int32_t>(bytes, vocabulary_size, tokens);
    case TokenType::kUint64:
      return AppendAs<uint64_t>(bytes, vocabulary_size, tokens);
    case TokenType::kInt64:
      return AppendAs<int64_t>(bytes, vocabulary_size, tokens);
  }
  return absl::OkStatus();
}

}  // namespace lory::corpus
