#ifndef LORY_TOOLS_MODEL_PRESET_FIGURES_H_
#define LORY_TOOLS_MODEL_PRESET_FIGURES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/config/model_shape.h"

// How large the model of a preset is (common/config/model_presets.h), without
// a checkpoint, a dataset or a coordinator. Pure.
namespace lory::surgery {

struct PresetChoice {
  std::string name;
  int64_t expert_count = 0;         // 0: the preset's
  int64_t vocabulary_size = 32000;  // the paper's
};

struct PresetFigures {
  std::string name;
  lory::config::ModelShape shape;
  int64_t parameter_count = 0;
  int64_t active_parameter_count = 0;
};

// INVALID_ARGUMENT: there is no such preset, or no such model of it.
absl::StatusOr<PresetFigures> FiguresOfPreset(const PresetChoice& choice);

std::string ToText(const PresetFigures& figures);
std::string ToJson(const PresetFigures& figures);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_PRESET_FIGURES_H_
