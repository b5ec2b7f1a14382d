#include "common/config/generation_labels.h"

#include <nlohmann/json.hpp>

#include "common/io/json_text.h"

namespace lory::config {
namespace {

using nlohmann::ordered_json;

constexpr char kEndKey[] = "eos_token_id";

std::vector<int64_t> EndTokensIn(const lory::v1::JobSpec& spec,
                                 const char* label) {
  std::vector<int64_t> tokens;
  const auto found = spec.labels().find(label);
  if (found == spec.labels().end()) return tokens;
  const auto json = lory::io::ParseJsonObject(found->second);
  if (!json.ok() || !json->contains(kEndKey)) return tokens;
  const ordered_json& end = (*json)[kEndKey];
  const ordered_json ids = end.is_array() ? end : ordered_json::array({end});
  for (const ordered_json& id : ids) {
    if (id.is_number_unsigned()) tokens.push_back(id.get<int64_t>());
  }
  return tokens;
}

}  // namespace

bool IsGenerationLabel(absl::string_view label) {
  return label == kTokenIdsLabel || label == kGenerationLabel;
}

void KeepGenerationLabels(const lory::v1::JobSpec& from,
                          lory::v1::JobSpec& to) {
  for (const char* label : {kTokenIdsLabel, kGenerationLabel}) {
    const auto found = from.labels().find(label);
    if (found != from.labels().end()) {
      to.mutable_labels()->insert({label, found->second});
    }
  }
}

std::vector<int64_t> EndTokens(const lory::v1::JobSpec& spec) {
  std::vector<int64_t> tokens = EndTokensIn(spec, kGenerationLabel);
  if (tokens.empty()) tokens = EndTokensIn(spec, kTokenIdsLabel);
  return tokens;
}

}  // namespace lory::config
