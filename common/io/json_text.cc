#include "common/io/json_text.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lory::io {

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
  if (!json.is_object()) {
    return absl::InvalidArgumentError("is not a JSON object");
  }
  if (!is_deep) return json;
  return absl::InvalidArgumentError(
      absl::StrCat("is nested deeper than ", kMostJsonDepth, " levels"));
}

}  // namespace lory::io
