#ifndef LORY_COMMON_CONFIG_MODEL_PRESETS_H_
#define LORY_COMMON_CONFIG_MODEL_PRESETS_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace lory::config {

// A model by name: `model: {preset: tiny}`. Every key can be overridden. None
// sets vocabulary_size or sequence_length: those are the dataset's.
struct ModelPreset {
  absl::string_view name;
  absl::string_view description;
  absl::string_view yaml;  // keys of ModelSpec
};

// All of them, smallest first.
absl::Span<const ModelPreset> ModelPresets();

// Null: no such preset.
const ModelPreset* FindModelPreset(absl::string_view name);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_MODEL_PRESETS_H_
