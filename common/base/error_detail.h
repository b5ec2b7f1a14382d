#ifndef LORY_COMMON_BASE_ERROR_DETAIL_H_
#define LORY_COMMON_BASE_ERROR_DETAIL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// What a program can know about an error beyond its code. Kept in the
// status's payload; common/rpc/status_convert carries it over the wire as a
// lory.v1.ErrorDetail. No protobuf here, so that pure code can use it.
namespace lory {

struct FieldViolation {
  std::string field;        // path, such as spec.model.segment_length
  std::string description;  // what is wrong and what would be right
};

// A status with a machine-readable reason in UPPER_SNAKE_CASE, such as
// GENERATION_FENCED.
absl::Status ErrorWithReason(absl::StatusCode code, absl::string_view reason,
                             absl::string_view message);

// INVALID_ARGUMENT, reason FIELD_INVALID; the message lists every violation.
// OK when there is none.
absl::Status FieldErrors(std::vector<FieldViolation> violations);

// Empty when the status has none.
std::string ReasonOf(const absl::Status& status);
std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status);

}  // namespace lory

#endif  // LORY_COMMON_BASE_ERROR_DETAIL_H_
