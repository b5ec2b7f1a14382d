#include "common/io/json_text.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace lory::io {
namespace {

constexpr size_t kMostKeyShown = 60;

// Python writes NaN and Infinity, which JSON does not have: the first of these
// and its key, as "x is NaN". Empty: there is none.
std::string PythonsNumber(absl::string_view text) {
  absl::string_view key;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      const size_t begin = ++i;
      while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
      if (i > text.size()) return "";
      key = text.substr(begin, i - begin).substr(0, kMostKeyShown);
    }
    for (const absl::string_view word : {"NaN", "Infinity"}) {
      if (absl::StartsWith(text.substr(i), word)) {
        return absl::StrCat(absl::CHexEscape(key), " is ", word);
      }
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<nlohmann::ordered_json> ParseJsonObject(absl::string_view text) {
  using Event = nlohmann::ordered_json::parse_event_t;
  bool is_deep = false;
  const nlohmann::ordered_json json = nlohmann::ordered_json::parse(
      text.begin(), text.end(),
      [&is_deep](int depth, Event event, auto&) {
        const bool is_too_deep =
            depth >= kMostJsonDepth &&
            (event == Event::object_start || event == Event::array_start);
        is_deep = is_deep || is_too_deep;
        return !is_too_deep;  // is left out
      },
      /*allow_exceptions=*/false);
  if (const std::string number = json.is_discarded() ? PythonsNumber(text) : "";
      !number.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "is not a JSON object: ", number,
        ", which Python writes and JSON does not have; take that key out"));
  }
  if (!json.is_object()) {
    return absl::InvalidArgumentError("is not a JSON object");
  }
  if (!is_deep) return json;
  return absl::InvalidArgumentError(
      absl::StrCat("is nested deeper than ", kMostJsonDepth, " levels"));
}

}  // namespace lory::io
