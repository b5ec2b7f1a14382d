#include "tools/corpus/token_lines.h"

#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace lory::corpus {
namespace {

using nlohmann::json;

bool IsIds(const json& value) {
  if (!value.is_array()) return false;
  for (const json& id : value) {
    if (!id.is_number_unsigned() || id > INT32_MAX) return false;
  }
  return true;
}

std::string JsonText(const std::string& text) {
  return json(text).dump(-1, ' ', /*ensure_ascii=*/false,
                         json::error_handler_t::replace);
}

}  // namespace

absl::Status PrintTokenLines(const text::Tokenizer& tokenizer,
                             TokenLinesMode mode, std::istream& in,
                             std::ostream& out) {
  if (mode == TokenLinesMode::kWhole) {
    const std::string text(std::istreambuf_iterator<char>(in), {});
    out << json(tokenizer.Encode(text)).dump() << "\n";
    return absl::OkStatus();
  }
  const bool decode = mode == TokenLinesMode::kDecode;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    const json value = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (decode ? !IsIds(value) : !value.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat("standard input:", number, ": no ",
                       decode ? "array of token ids, such as [1, 2]"
                              : "JSON string, such as \"a text\""));
    }
    if (decode) {
      for (const json& id : value) {
        if (id < tokenizer.vocabulary_size()) continue;
        return absl::InvalidArgumentError(absl::StrCat(
            "standard input:", number, ": token ", id.get<int64_t>(),
            " is not in the vocabulary of ", tokenizer.vocabulary_size()));
      }
      out << JsonText(tokenizer.Decode(value.get<std::vector<int32_t>>()))
          << "\n";
    } else {
      out << json(tokenizer.Encode(value.get_ref<const std::string&>())).dump()
          << "\n";
    }
  }
  return absl::OkStatus();
}

}  // namespace lory::corpus
