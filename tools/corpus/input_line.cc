#include "tools/corpus/input_line.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/status_macros.h"
#include "simdjson.h"
#include "tools/corpus/line_reader.h"

namespace lory::corpus {
namespace {

namespace json = simdjson::dom;

// Of a line without a text, shown so that its key can be guessed.
constexpr size_t kShownKeys = 8;

using MaybeElement = std::optional<json::element>;

// The value of `key`, which people know as `shown`; none: not there.
absl::StatusOr<MaybeElement> Member(const json::object& object,
                                    absl::string_view key,
                                    absl::string_view shown) {
  MaybeElement found;
  for (const auto& [name, element] : object) {
    if (absl::string_view(name.data(), name.size()) != key) continue;
    if (found) return BadValue(shown, "comes twice");
    found = element;
  }
  return found;
}

// By a JSON pointer (RFC 6901), step by step: simdjson's takes the first of
// equal keys.
absl::StatusOr<MaybeElement> FindAt(json::object object,
                                    absl::string_view pointer) {
  for (size_t begin = 0;;) {
    const size_t end = std::min(pointer.find('/', begin + 1), pointer.size());
    const std::string key = absl::StrReplaceAll(
        pointer.substr(begin + 1, end - begin - 1), {{"~0", "~"}, {"~1", "/"}});
    LORY_ASSIGN_OR_RETURN(MaybeElement found,
                          Member(object, key, pointer.substr(0, end)));
    if (!found || end == pointer.size()) return found;
    begin = end;
    // Places in lists have no names that could come twice.
    while (found->is_array()) {
      const size_t after =
          std::min(pointer.find('/', begin + 1), pointer.size());
      json::element item;
      const absl::string_view step = pointer.substr(begin, after - begin);
      if (found->at_pointer({step.data(), step.size()}).get(item) !=
          simdjson::SUCCESS) {
        return std::nullopt;
      }
      found = item;
      if (after == pointer.size()) return found;
      begin = after;
    }
    if (found->get(object) != simdjson::SUCCESS) return std::nullopt;
  }
}

// The value of a key; none: not there.
absl::StatusOr<MaybeElement> Find(const json::object& object,
                                  const std::string& key) {
  return absl::StartsWith(key, "/") ? FindAt(object, key)
                                    : Member(object, key, key);
}

std::string KeysOf(const json::object& object) {
  std::vector<std::string> keys;
  for (const auto& field : object) {
    if (keys.size() == kShownKeys) {
      keys.push_back("...");
      break;
    }
    keys.push_back(std::string(field.key.data(), field.key.size()));
  }
  return keys.empty() ? "none" : absl::StrJoin(keys, ", ");
}

std::string TextOf(json::element element) {
  const auto view = element.get_string().value_unsafe();
  return std::string(view.data(), view.size());
}

// An id or a domain, which need not be there.
absl::StatusOr<std::string> Optional(const json::object& object,
                                     const std::string& key, bool may_number) {
  LORY_ASSIGN_OR_RETURN(const auto value, Find(object, key));
  if (!value || value->is_null()) return std::string();
  if (value->is_string()) return TextOf(*value);
  if (may_number && value->is_int64()) {
    return absl::StrCat(value->get_int64().value_unsafe());
  }
  if (may_number && value->is_uint64()) {
    return absl::StrCat(value->get_uint64().value_unsafe());
  }
  return BadValue(key, "is no text");
}

}  // namespace

absl::StatusOr<InputLine> ParseInputLine(absl::string_view line,
                                         const InputKeys& keys) {
  if (!simdjson::validate_utf8(line.data(), line.size())) {
    return absl::InvalidArgumentError("not UTF-8");
  }
  // Kept for its buffers: to allocate them costs more than most lines.
  static thread_local json::parser parser;
  json::object object;
  const auto error =
      parser.parse(line.data(), line.size(), /*realloc_if_needed=*/true)
          .get(object);
  if (error == simdjson::INCORRECT_TYPE) {
    return absl::InvalidArgumentError("no JSON object");
  }
  if (error != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("not JSON: ", simdjson::error_message(error)));
  }
  InputLine out;
  LORY_ASSIGN_OR_RETURN(const auto text, Find(object, keys.text));
  if (!text) {
    return absl::InvalidArgumentError(
        absl::StrCat("no \"", keys.text, "\" (its keys: ", KeysOf(object),
                     "; inputs[].text_key says which is the text)"));
  }
  if (!text->is_string()) return BadValue(keys.text, "is no text");
  out.text = TextOf(*text);
  LORY_ASSIGN_OR_RETURN(out.name, Optional(object, keys.id, true));
  LORY_ASSIGN_OR_RETURN(out.domain, Optional(object, keys.domain, false));
  if (!out.domain.empty()) {
    LORY_RETURN_IF_ERROR(CheckDomain(keys.domain, out.domain));
  }
  return out;
}

absl::Status BadValue(absl::string_view key, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" ", what));
}

absl::Status CheckDomain(absl::string_view key, absl::string_view domain) {
  if (IsDomainName(domain)) return absl::OkStatus();
  return BadValue(key, "must be 1 to 64 letters, digits, '-', '_' or '.'");
}

absl::StatusOr<InputLine> ParseTextFile(absl::string_view bytes,
                                        absl::string_view name) {
  if (!simdjson::validate_utf8(bytes.data(), bytes.size())) {
    return absl::InvalidArgumentError("not UTF-8");
  }
  if (absl::StartsWith(bytes, kByteOrderMark)) {
    bytes.remove_prefix(kByteOrderMark.size());
  }
  return InputLine{std::string(bytes), std::string(name), ""};
}

}  // namespace lory::corpus
