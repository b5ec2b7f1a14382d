#include "tools/verify/trace_reader.h"

#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "nlohmann/json.hpp"

namespace lory::verify {
namespace {

constexpr absl::string_view kLineBegin = "{\"step\":";
constexpr size_t kDigestHex = 64;

// A writer that was killed leaves half a line; the next one goes on behind it.
// What was torn ends where a whole line begins.
void ReadLine(absl::string_view text, const std::string& file, int64_t number,
              bool complete, Trace& trace) {
  const std::string place = absl::StrCat(file, ":", number);
  const size_t begin = text.rfind(kLineBegin);
  if (begin == absl::string_view::npos) {
    (complete ? trace.garbage : trace.torn).push_back(place);
    return;
  }
  auto line = ParseTraceLine(text.substr(begin));
  if (begin > 0 || !line) {
    const bool cut = begin > 0 || !complete || !absl::EndsWith(text, "}");
    (cut ? trace.torn : trace.garbage).push_back(place);
  }
  if (!line || !complete) return;
  line->file = file;
  line->line = number;
  trace.lines.push_back(*std::move(line));
}

void ReadLines(absl::string_view text, const std::string& file, Trace& trace) {
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    ReadLine(text.substr(0, end), file, ++number,
             end != absl::string_view::npos, trace);
    if (end == absl::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

// A whole number from 0 to 2^63 - 1: larger ones would come out below 0.
bool IsCount(const nlohmann::json& value) {
  return value.is_number_unsigned() &&
         value.get<uint64_t>() <= uint64_t{INT64_MAX};
}

bool HasCount(const nlohmann::json& object, const char* key) {
  return object.contains(key) && IsCount(object[key]);
}

bool IsArray(const nlohmann::json& object, const char* key) {
  return object.contains(key) && object[key].is_array();
}

}  // namespace

std::string TraceLine::Place() const { return absl::StrCat(file, ":", line); }

bool TraceLine::SaysTheSameAs(const TraceLine& other) const {
  return step == other.step && generation == other.generation &&
         sums == other.sums && shares == other.shares && digest == other.digest;
}

std::optional<TraceLine> ParseTraceLine(absl::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(
      text.begin(), text.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !HasCount(json, "step") ||
      !HasCount(json, "generation") || !IsArray(json, "sums") ||
      !IsArray(json, "shares") || !json.contains("digest") ||
      !json["digest"].is_string()) {
    return std::nullopt;
  }
  TraceLine line;
  line.step = json["step"].get<int64_t>();
  line.generation = json["generation"].get<int64_t>();
  for (const auto& sum : json["sums"]) {
    uint64_t value = 0;
    if (!sum.is_string() ||
        !absl::SimpleHexAtoi(sum.get<std::string>(), &value)) {
      return std::nullopt;
    }
    line.sums.push_back(value);
  }
  for (const auto& share : json["shares"]) {
    if (!IsCount(share)) return std::nullopt;
    line.shares.push_back(share.get<int64_t>());
  }
  const std::string hex = json["digest"].get<std::string>();
  if (hex.size() != kDigestHex ||
      hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
    return std::nullopt;
  }
  line.digest = absl::HexStringToBytes(hex);
  return line;
}

absl::StatusOr<Trace> ReadTrace(const std::string& folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return absl::NotFoundError(absl::StrCat(
        "no folder ", folder,
        ": is --storage-root that of the coordinator and its workers?"));
  }
  io::Storage& storage = io::LocalStorage();
  LORY_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        storage.List(folder));
  Trace trace;
  for (const std::string& name : names) {
    if (!absl::EndsWith(name, ".jsonl")) continue;
    LORY_ASSIGN_OR_RETURN(const std::string text,
                          storage.Read(absl::StrCat(folder, "/", name)));
    ReadLines(text, name, trace);
  }
  return trace;
}

}  // namespace lory::verify
