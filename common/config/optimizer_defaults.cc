#include "common/config/optimizer_defaults.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/field_checks.h"

namespace lory::config {
namespace {

absl::Status Invalid(absl::string_view path, absl::string_view field,
                     double value, absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ".", field, ": ", value, " is not ", rule));
}

// The same for fields where a negative value means "none".
double OrDefaultOrNone(double value, double fallback) {
  return std::max(0.0, OrDefault(value, fallback));
}

}  // namespace

absl::StatusOr<OptimizerSettings> ResolveOptimizer(
    const lory::v1::OptimizerSpec& spec, absl::string_view field_path) {
  const OptimizerSettings defaults;
  OptimizerSettings settings;
  settings.peak_learning_rate = spec.peak_learning_rate();
  settings.beta1 = OrDefault(spec.beta1(), defaults.beta1);
  settings.beta2 = OrDefault(spec.beta2(), defaults.beta2);
  settings.epsilon = OrDefault(spec.epsilon(), defaults.epsilon);
  settings.warmup_fraction =
      OrDefault(spec.warmup_fraction(), defaults.warmup_fraction);
  settings.final_fraction =
      OrDefault(spec.final_fraction(), defaults.final_fraction);

  const auto above_zero = [&](absl::string_view field, double value) {
    return std::isfinite(value) && value > 0
               ? absl::OkStatus()
               : Invalid(field_path, field, value, "a number above 0");
  };
  const auto below_one = [&](absl::string_view field, double value) {
    return value > 0 && value < 1
               ? absl::OkStatus()
               : Invalid(field_path, field, value, "between 0 and 1");
  };
  AllChecks checks;
  const auto expect = [&](bool good, absl::string_view field, double value,
                          absl::string_view rule) {
    if (!good) checks.Add(Invalid(field_path, field, value, rule));
  };
  checks.Add(above_zero("peak_learning_rate", settings.peak_learning_rate));
  checks.Add(below_one("beta1", settings.beta1));
  checks.Add(below_one("beta2", settings.beta2));
  checks.Add(above_zero("epsilon", settings.epsilon));
  checks.Add(below_one("warmup_fraction", settings.warmup_fraction));
  expect(settings.final_fraction >= 0 && settings.final_fraction <= 1,
         "final_fraction", settings.final_fraction, "in 0..1");
  expect(std::isfinite(spec.weight_decay()), "weight_decay",
         spec.weight_decay(), "finite");
  expect(!std::isnan(spec.clip_norm()), "clip_norm", spec.clip_norm(),
         "a number");
  expect(spec.nonfinite_step_limit() >= 0, "nonfinite_step_limit",
         spec.nonfinite_step_limit(), "0 or above");
  LORY_RETURN_IF_ERROR(checks.ToStatus());
  settings.weight_decay =
      OrDefaultOrNone(spec.weight_decay(), defaults.weight_decay);
  settings.clip_norm = OrDefaultOrNone(spec.clip_norm(), defaults.clip_norm);
  if (spec.nonfinite_step_limit() > 0) {
    settings.nonfinite_step_limit = spec.nonfinite_step_limit();
  }
  return settings;
}

OptimizerSettings ResolvedOptimizer(const lory::v1::OptimizerSpec& spec) {
  const auto settings = ResolveOptimizer(spec);
  LORY_CHECK(settings.ok());
  return *settings;
}

absl::Status ValidateOptimizerSpec(const lory::v1::OptimizerSpec& spec,
                                   absl::string_view field_path) {
  return ResolveOptimizer(spec, field_path).status();
}

}  // namespace lory::config
