#include "common/config/job_file.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "common/config/field_names.h"
#include "common/config/model_presets.h"
#include "common/config/proto_reader.h"
#include "common/config/proto_writer.h"
#include "common/config/yaml_tree.h"

namespace lory::config {
namespace {

constexpr absl::string_view kDatasets = "datasets/";
constexpr absl::string_view kJobs = "jobs/";

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;

YamlNode* FindEntry(YamlNode& map, absl::string_view key) {
  for (YamlEntry& entry : map.entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

// Takes a key that is no field of the proto out of `map`.
bool TakeEntry(YamlNode& map, absl::string_view key, YamlEntry& taken) {
  for (auto it = map.entries.begin(); it != map.entries.end(); ++it) {
    if (it->key != key) continue;
    taken = std::move(*it);
    map.entries.erase(it);
    return true;
  }
  return false;
}

// "model.width=256" as {model: {width: 256}}.
absl::StatusOr<JobLayer> ParseOverride(const std::string& text) {
  const Source source{.name = absl::StrCat("--set ", text), .has_lines = false};
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  YamlNode value;
  if (!parts.second.empty()) {
    LORY_ASSIGN_OR_RETURN(value, ParseYaml(parts.second, source.name));
  }
  auto layer = LayerAt(parts.first, 1, source, std::move(value));
  if (!layer.ok() || !absl::StrContains(text, '=')) {
    return absl::InvalidArgumentError(absl::StrCat(
        source.name, ": write key=value, such as model.width=256"));
  }
  return layer;
}

// Takes out of `message` the variants that `map`, or a map `depth` levels
// beneath it, says anew.
void ClearVariants(const YamlNode& map, int depth, Message& message) {
  for (const YamlEntry& entry : map.entries) {
    const FieldDescriptor* field = FieldOf(*message.GetDescriptor(), entry.key);
    if (field == nullptr || field->is_repeated() ||
        field->message_type() == nullptr ||
        !message.GetReflection()->HasField(message, field)) {
      continue;
    }
    const bool is_variant = field->real_containing_oneof() != nullptr ||
                            field->message_type()->real_oneof_decl_count() > 0;
    if (is_variant && depth <= 0) {
      message.GetReflection()->ClearField(&message, field);
    } else {
      ClearVariants(entry.value, depth - 1,
                    *message.GetReflection()->MutableMessage(&message, field));
    }
  }
}

// Reads one key of the document that is plain text and no field of the spec.
std::string TakeText(YamlNode& map, absl::string_view key,
                     const std::string& path, const Source& source,
                     JobFile& file, Problems& problems) {
  YamlEntry entry;
  if (!TakeEntry(map, key, entry)) return "";
  file.origins.Set(path, source.At(entry.line));
  if (entry.value.kind != YamlNode::Kind::kScalar) {
    problems.Add(source.At(entry.line), path,
                 absl::StrCat(Describe(entry.value), " where a name belongs"));
    return "";
  }
  return entry.value.scalar;
}

void ExpandPreset(const std::string& name, const std::string& where,
                  JobFile& file, Problems& problems) {
  const ModelPreset* preset = FindModelPreset(name);
  if (preset == nullptr) {
    std::vector<absl::string_view> names;
    for (const ModelPreset& known : ModelPresets()) names.push_back(known.name);
    problems.Add(where, "spec.model.preset",
                 absl::StrCat("no preset '", name, "'; there are ",
                              absl::StrJoin(names, ", ")));
    return;
  }
  const Source source{.name = absl::StrCat(where, " (preset ", name, ")"),
                      .has_lines = false};
  const absl::StatusOr<YamlNode> node = ParseYaml(preset->yaml, name);
  if (!node.ok()) {
    problems.Add(where, "spec.model.preset", node.status().message());
    return;
  }
  ReadMessage(*node, "spec.model", source, *file.spec.mutable_model(),
              file.origins, problems);
}

// Takes name and preset out of every layer; the last preset is laid under all
// other keys, wherever they stand.
void ReadNames(std::vector<JobLayer>& layers, JobFile& file,
               Problems& problems) {
  std::string preset;
  for (JobLayer& layer : layers) {
    const std::string name =
        TakeText(layer.root, "name", "name", layer.source, file, problems);
    if (!name.empty()) file.name = name;
    YamlNode* model = FindEntry(layer.root, "model");
    if (model == nullptr) continue;
    const std::string found = TakeText(*model, "preset", "spec.model.preset",
                                       layer.source, file, problems);
    if (!found.empty()) preset = found;
  }
  if (preset.empty()) return;
  ExpandPreset(preset, file.origins.Find("spec.model.preset"), file, problems);
}

// The field path of a violation, in messages that carry it only as text.
std::vector<FieldViolation> ViolationsOf(const absl::Status& status) {
  std::vector<FieldViolation> violations = FieldViolationsOf(status);
  if (!violations.empty()) return violations;
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(status.message(), absl::MaxSplits(": ", 1));
  if (absl::StartsWith(parts.first, "spec.")) {
    violations.push_back({parts.first, parts.second});
  }
  return violations;
}

// What a rule finds wrong with the 0 of a value that nobody gave.
std::string OfMissing(absl::string_view description) {
  return absl::ConsumePrefix(&description, "0 is not ")
             ? absl::StrCat("missing; it must be ", description)
             : std::string(description);
}

// Of values that were written and could be read; what is said of others would
// follow from the mistakes that are told already.
void AddWrongValues(const std::vector<FieldViolation>& violations,
                    const JobFile& file, Problems& problems) {
  for (const FieldViolation& violation : violations) {
    if (!file.origins.Has(violation.field) || problems.Has(violation.field)) {
      continue;
    }
    problems.Add(file.origins.Find(violation.field), violation.field,
                 violation.description);
  }
}

}  // namespace

absl::StatusOr<JobLayer> LayerAt(absl::string_view path, int line,
                                 const Source& source, YamlNode value) {
  std::vector<std::string> keys = absl::StrSplit(path, '.');
  if (keys.front() == "spec") keys.erase(keys.begin());
  bool is_complete = !keys.empty();
  for (const std::string& key : keys) is_complete &= !key.empty();
  if (!is_complete) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.At(line), ": '", path,
                     "' is no path to a field, such as model.width"));
  }
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
    YamlNode map{.kind = YamlNode::Kind::kMap, .line = line};
    map.entries.push_back({*key, line, std::move(value)});
    value = std::move(map);
  }
  return JobLayer{.source = source, .root = std::move(value)};
}

absl::StatusOr<JobFile> ParseJobFile(absl::string_view text,
                                     absl::string_view file_name,
                                     absl::Span<const std::string> overrides,
                                     const SpecCheck& check) {
  std::vector<JobLayer> layers(1);
  layers[0].source.name = std::string(file_name);
  LORY_ASSIGN_OR_RETURN(layers[0].root, ParseYaml(text, file_name));
  for (const std::string& override_text : overrides) {
    LORY_ASSIGN_OR_RETURN(JobLayer layer, ParseOverride(override_text));
    layers.push_back(std::move(layer));
  }
  return ReadJobLayers(std::move(layers), check);
}

absl::StatusOr<JobFile> ReadJobLayers(std::vector<JobLayer> layers,
                                      const SpecCheck& check) {
  const JobLayer& first = layers.front();
  if (first.root.kind != YamlNode::Kind::kMap) {
    return absl::InvalidArgumentError(absl::StrCat(
        first.source.At(first.root.line), ": ", Describe(first.root),
        " where keys belong, such as `name: tiny`"));
  }
  JobFile file;
  file.source_name = first.source.name;
  file.origins.Set("spec", first.source.At(std::max(1, first.root.line)));
  Problems problems;
  ReadNames(layers, file, problems);
  for (const JobLayer& layer : layers) {
    if (layer.replaces_below >= 0) {
      ClearVariants(layer.root, layer.replaces_below, file.spec);
    }
    ReadMessage(layer.root, "spec", layer.source, file.spec, file.origins,
                problems);
  }
  const std::string& dataset = file.spec.dataset();
  if (!dataset.empty() && !absl::StrContains(dataset, '/')) {
    file.spec.set_dataset(absl::StrCat(kDatasets, dataset));
  }
  const std::string& begins = file.spec.init_from();
  if (begins.empty() && file.origins.Has("spec.init_from")) {
    problems.Add(file.origins.Find("spec.init_from"), "spec.init_from",
                 "is empty; name a job or a checkpoint, or leave the key out");
  }
  if (!begins.empty() && !absl::StrContains(begins, '/')) {
    file.spec.set_init_from(absl::StrCat(kJobs, begins));
  }
  if (problems.empty()) return file;
  if (check != nullptr) AddWrongValues(check(file.spec), file, problems);
  return problems.ToStatus();
}

absl::Status LocateErrors(const absl::Status& status, const JobFile& file) {
  const std::vector<FieldViolation> violations = ViolationsOf(status);
  if (status.ok() || violations.empty()) return status;
  Problems problems;
  for (const FieldViolation& violation : violations) {
    std::string where = file.origins.Find(
        violation.field == "job_id" ? "name" : violation.field);
    if (where.empty()) where = file.source_name;
    problems.Add(std::move(where), violation.field,
                 file.origins.Has(violation.field)
                     ? violation.description
                     : OfMissing(violation.description));
  }
  absl::Status located(status.code(), problems.ToStatus().message());
  status.ForEachPayload([&](absl::string_view type, const absl::Cord& value) {
    located.SetPayload(type, value);
  });
  return located;
}

std::string JobFileText(absl::string_view name, const lory::v1::JobSpec& spec) {
  lory::v1::JobSpec shown = spec;
  shown.set_dataset(std::string(absl::StripPrefix(spec.dataset(), kDatasets)));
  std::string text;
  if (!name.empty()) {
    text = absl::StrCat("name: ", YamlScalar(name), "\n");
  }
  return text + YamlOf(shown, YamlDialect::kJobFile);
}

}  // namespace lory::config
