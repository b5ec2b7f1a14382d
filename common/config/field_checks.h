#ifndef LORY_COMMON_CONFIG_FIELD_CHECKS_H_
#define LORY_COMMON_CONFIG_FIELD_CHECKS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/error_detail.h"

// Checks of one field of a spec. Each answers OK, or INVALID_ARGUMENT with the
// field's path in front: "model.width: 4 is not in 8..65536".
namespace lory::config {

absl::Status InvalidField(absl::string_view path, absl::string_view field,
                          absl::string_view what);

absl::Status CheckRange(absl::string_view path, absl::string_view field,
                        int64_t value, int64_t low, int64_t high);

// `of_field` and `of`: what `value` must be a multiple of.
absl::Status CheckMultiple(absl::string_view path, absl::string_view field,
                           int64_t value, absl::string_view of_field,
                           int64_t of);

// A number above 0 that a 32-bit float holds.
absl::Status CheckPositive(absl::string_view path, absl::string_view field,
                           double value);

// A share that is not all: below 1, and a number. Negative ones mean "none".
absl::Status CheckBelowOne(absl::string_view path, absl::string_view field,
                           double value);

// Several checks whose errors are told together.
class AllChecks {
 public:
  // A status as those above, or one of FieldErrors.
  void Add(const absl::Status& status);

  // OK, the one error there was, or FieldErrors of all.
  absl::Status ToStatus() const;

 private:
  std::vector<absl::Status> errors_;
};

// The fields that such a status complains of.
std::vector<FieldViolation> ViolationsIn(const absl::Status& status);

// `value`, or `fallback` where the field was left at 0.
double OrDefault(double value, double fallback);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_FIELD_CHECKS_H_
