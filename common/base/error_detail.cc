#include "common/base/error_detail.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace lory {
namespace {

constexpr absl::string_view kReason = "lory/reason";
constexpr absl::string_view kFields = "lory/fields";

// Fields are kept as lines of path, unit separator, description: neither
// contains control characters.
constexpr char kUnit = '\x1f';

std::string PayloadOf(const absl::Status& status, absl::string_view type) {
  const auto payload = status.GetPayload(type);
  return payload ? std::string(*payload) : "";
}

}  // namespace

absl::Status ErrorWithReason(absl::StatusCode code, absl::string_view reason,
                             absl::string_view message) {
  absl::Status status(code, message);
  status.SetPayload(kReason, absl::Cord(reason));
  return status;
}

absl::Status FieldErrors(std::vector<FieldViolation> violations) {
  if (violations.empty()) return absl::OkStatus();
  const auto line = [](absl::string_view separator) {
    return [separator](std::string* out, const FieldViolation& violation) {
      absl::StrAppend(out, violation.field, separator, violation.description);
    };
  };
  absl::Status status =
      ErrorWithReason(absl::StatusCode::kInvalidArgument, "FIELD_INVALID",
                      absl::StrJoin(violations, "\n", line(": ")));
  status.SetPayload(
      kFields, absl::Cord(absl::StrJoin(violations, "\n",
                                        line(absl::string_view(&kUnit, 1)))));
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  return PayloadOf(status, kReason);
}

std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  const std::string text = PayloadOf(status, kFields);
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    std::pair<std::string, std::string> pair =
        absl::StrSplit(line, absl::MaxSplits(kUnit, 1));
    violations.push_back({std::move(pair.first), std::move(pair.second)});
  }
  return violations;
}

}  // namespace lory
