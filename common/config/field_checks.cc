#include "common/config/field_checks.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/float_range.h"

namespace lory::config {

absl::Status InvalidField(absl::string_view path, absl::string_view field,
                          absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ".", field, ": ", what));
}

absl::Status CheckRange(absl::string_view path, absl::string_view field,
                        int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return InvalidField(path, field,
                      absl::StrCat(value, " is not in ", low, "..", high));
}

absl::Status CheckMultiple(absl::string_view path, absl::string_view field,
                           int64_t value, absl::string_view of_field,
                           int64_t of) {
  if (value % of == 0) return absl::OkStatus();
  return InvalidField(
      path, field,
      absl::StrCat(value, " is not a multiple of ", of_field, " (", of, ")"));
}

absl::Status CheckPositive(absl::string_view path, absl::string_view field,
                           double value) {
  if (IsPositiveFloat(value)) return absl::OkStatus();
  return InvalidField(path, field,
                      absl::StrCat(value, " is not ", kPositiveFloat));
}

absl::Status CheckBelowOne(absl::string_view path, absl::string_view field,
                           double value) {
  if (value < 1) return absl::OkStatus();
  return InvalidField(path, field,
                      absl::StrCat(value, " is not a share below 1"));
}

void AllChecks::Add(const absl::Status& status) {
  if (!status.ok()) errors_.push_back(status);
}

absl::Status AllChecks::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  if (errors_.size() == 1) return errors_[0];
  std::vector<FieldViolation> all;
  for (const absl::Status& error : errors_) {
    for (FieldViolation& violation : ViolationsIn(error)) {
      all.push_back(std::move(violation));
    }
  }
  return FieldErrors(std::move(all));
}

std::vector<FieldViolation> ViolationsIn(const absl::Status& status) {
  std::vector<FieldViolation> violations = FieldViolationsOf(status);
  if (!violations.empty() || status.ok()) return violations;
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(status.message(), absl::MaxSplits(": ", 1));
  return {{parts.first, parts.second}};
}

double OrDefault(double value, double fallback) {
  return value == 0 ? fallback : value;
}

}  // namespace lory::config
