#include "tools/model/preset_figures.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/config/feed_forward_shape.h"
#include "common/config/job_file.h"
#include "common/config/model_presets.h"

namespace lory::surgery {
namespace {

using ::lory::config::ModelPreset;

// A dataset would say it; no parameter hangs on it.
constexpr int64_t kSequenceLength = 4096;

absl::Status CheckName(const std::string& name) {
  if (lory::config::FindModelPreset(name) != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--preset: there is no ", name, "; there are ",
      absl::StrJoin(lory::config::ModelPresets(), ", ",
                    [](std::string* out, const ModelPreset& preset) {
                      absl::StrAppend(out, preset.name);
                    })));
}

}  // namespace

absl::StatusOr<PresetFigures> FiguresOfPreset(const PresetChoice& choice) {
  LORY_RETURN_IF_ERROR(CheckName(choice.name));
  LORY_ASSIGN_OR_RETURN(
      const lory::config::JobFile file,
      lory::config::ParseJobFile(
          absl::StrCat("model: {preset: ", choice.name, "}"), "preset"));
  lory::v1::ModelSpec spec = file.spec.model();
  spec.set_vocabulary_size(choice.vocabulary_size);
  spec.set_sequence_length(kSequenceLength);
  if (choice.expert_count > 0) {
    spec.mutable_feed_forward()->mutable_lory()->set_expert_count(
        static_cast<int32_t>(choice.expert_count));
  }
  PresetFigures figures{.name = choice.name};
  LORY_ASSIGN_OR_RETURN(figures.shape,
                        lory::config::ResolveModelShape(spec, choice.name));
  figures.parameter_count = lory::config::ParameterCount(figures.shape);
  figures.active_parameter_count =
      lory::config::ActiveParameterCount(figures.shape);
  return figures;
}

std::string ToText(const PresetFigures& figures) {
  const lory::config::ModelShape& shape = figures.shape;
  const auto billions = [](int64_t count) {
    return static_cast<double>(count) / 1e9;
  };
  return absl::StrFormat(
      "preset       %s\n"
      "model        %d layers, width %d, %d heads, feed-forward %d, "
      "vocabulary %d\n"
      "feed-forward %s, %s\n"
      "parameters   %d (%.3f B), active %d (%.3f B)\n",
      figures.name, shape.layer_count, shape.width, shape.head_count,
      shape.feed_forward_width, shape.vocabulary_size,
      lory::config::VariantName(shape), shape.feed_forward_summary,
      figures.parameter_count, billions(figures.parameter_count),
      figures.active_parameter_count, billions(figures.active_parameter_count));
}

std::string ToJson(const PresetFigures& figures) {
  const lory::config::ModelShape& shape = figures.shape;
  const nlohmann::ordered_json json = {
      {"preset", figures.name},
      {"model",
       {{"vocabulary_size", shape.vocabulary_size},
        {"layer_count", shape.layer_count},
        {"width", shape.width},
        {"head_count", shape.head_count},
        {"feed_forward_width", shape.feed_forward_width},
        {"expert_count", shape.expert_count},
        {"segment_length", shape.segment_length}}},
      {"parameters",
       {{"total", figures.parameter_count},
        {"active", figures.active_parameter_count}}}};
  return json.dump(1) + "\n";
}

}  // namespace lory::surgery
