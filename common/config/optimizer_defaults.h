#ifndef LORY_COMMON_CONFIG_OPTIMIZER_DEFAULTS_H_
#define LORY_COMMON_CONFIG_OPTIMIZER_DEFAULTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lory/v1/model.pb.h"

namespace lory::config {

// An OptimizerSpec with nothing left to default.
struct OptimizerSettings {
  double peak_learning_rate = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  // 0: none
  double clip_norm = 1;       // 0: no clipping
  double warmup_fraction = 0.05;
  double final_fraction = 0.1;
  int32_t nonfinite_step_limit = 10;
};

// Checks `spec` and fills in its defaults.
//
// INVALID_ARGUMENT: a value out of range. The message starts with the path of
// the field: "optimizer.beta2: ...".
absl::StatusOr<OptimizerSettings> ResolveOptimizer(
    const lory::v1::OptimizerSpec& spec,
    absl::string_view field_path = "optimizer");

// The same of a spec that was checked before; a wrong one ends the program.
OptimizerSettings ResolvedOptimizer(const lory::v1::OptimizerSpec& spec);

// As ResolveOptimizer, for callers that want the verdict only.
absl::Status ValidateOptimizerSpec(const lory::v1::OptimizerSpec& spec,
                                   absl::string_view field_path = "optimizer");

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_OPTIMIZER_DEFAULTS_H_
