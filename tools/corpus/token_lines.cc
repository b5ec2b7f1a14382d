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

// What is left of it; in.bad() if that cannot be read.
std::string AllOf(std::istream& in) {
  std::string text;
  char piece[1 << 16];
  do {
    in.read(piece, sizeof(piece));
    text.append(piece, static_cast<size_t>(in.gcount()));
  } while (in);
  return text;
}

// Whether all was read and all was written.
absl::Status CheckStreams(const std::istream& in, std::ostream& out) {
  if (in.bad()) return absl::DataLossError("standard input: cannot be read");
  if (out.flush()) return absl::OkStatus();
  return absl::DataLossError(
      "standard output: cannot be written: is the disk full?");
}

}  // namespace

absl::Status PrintTokenLines(const text::Tokenizer& tokenizer,
                             TokenLinesMode mode, std::istream& in,
                             std::ostream& out) {
  if (mode == TokenLinesMode::kWhole) {
    const std::string text = AllOf(in);
    if (in.bad()) return CheckStreams(in, out);
    out << json(tokenizer.Encode(text)).dump() << "\n";
    return CheckStreams(in, out);
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
    if (!out) break;
  }
  return CheckStreams(in, out);
}

}  // namespace lory::corpus
