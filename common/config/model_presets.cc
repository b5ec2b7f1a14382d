#include "common/config/model_presets.h"

namespace lory::config {
namespace {

// lory-0.3b and lory-1.5b are the shapes of Zhong et al. 2024, with 8
// experts; 16 and 32 by overriding expert_count.
constexpr ModelPreset kPresets[] = {
    {"tiny",
     "about 2 million active parameters with 4096 tokens; for a CPU and tests",
     R"(layer_count: 4
width: 128
head_count: 4
feed_forward:
  lory:
    expert_count: 4
    segment_length: 32
)"},
    {"small",
     "about 10 million active parameters with 8192 tokens; for a patient CPU",
     R"(layer_count: 8
width: 256
head_count: 8
feed_forward:
  lory:
    expert_count: 8
    segment_length: 64
)"},
    {"lory-0.3b", "the paper's 0.3B, 8 experts: 1.8 billion parameters in all",
     R"(layer_count: 24
width: 1024
head_count: 16
feed_forward:
  lory:
    expert_count: 8
    segment_length: 256
)"},
    {"lory-1.5b", "the paper's 1.5B, 8 experts: 7.8 billion parameters in all",
     R"(layer_count: 48
width: 1536
head_count: 24
feed_forward:
  lory:
    expert_count: 8
    segment_length: 256
)"},
};

}  // namespace

absl::Span<const ModelPreset> ModelPresets() { return kPresets; }

const ModelPreset* FindModelPreset(absl::string_view name) {
  for (const ModelPreset& preset : kPresets) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

}  // namespace lory::config
