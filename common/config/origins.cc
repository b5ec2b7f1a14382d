#include "common/config/origins.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/error_detail.h"
#include "common/config/field_names.h"

namespace lory::config {

std::string Source::At(int line) const {
  return has_lines ? absl::StrCat(name, ":", line) : name;
}

void Origins::Set(absl::string_view path, std::string where) {
  where_[std::string(path)] = std::move(where);
}

bool Origins::Has(absl::string_view path) const {
  return where_.count(std::string(path)) != 0;
}

std::string Origins::Find(absl::string_view path) const {
  std::string prefix(path);
  while (true) {
    if (const auto it = where_.find(prefix); it != where_.end()) {
      return it->second;
    }
    const size_t dot = prefix.rfind('.');
    if (dot == std::string::npos) return "";
    prefix.resize(dot);
  }
}

void Problems::Add(std::string where, absl::string_view field,
                   absl::string_view text) {
  lines_.push_back({std::move(where), std::string(field), std::string(text)});
}

bool Problems::Has(absl::string_view field) const {
  return std::any_of(lines_.begin(), lines_.end(),
                     [&](const Line& line) { return line.field == field; });
}

absl::Status Problems::ToStatus() const {
  if (lines_.empty()) return absl::OkStatus();
  std::vector<FieldViolation> violations;
  std::vector<std::string> texts;
  for (const Line& line : lines_) {
    violations.push_back({line.field, line.text});
    std::vector<absl::string_view> pieces;
    const std::string key = KeyPathOf(line.field);
    for (const std::string* piece : {&line.where, &key, &line.text}) {
      if (!piece->empty()) pieces.push_back(*piece);
    }
    texts.push_back(absl::StrJoin(pieces, ": "));
  }
  absl::Status status(absl::StatusCode::kInvalidArgument,
                      absl::StrJoin(texts, "\n"));
  FieldErrors(violations)
      .ForEachPayload([&](absl::string_view type, const absl::Cord& value) {
        status.SetPayload(type, value);
      });
  return status;
}

}  // namespace lory::config
