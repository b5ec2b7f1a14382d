#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "tools/corpus/encoder/model_folder.h"

namespace lory::corpus {
namespace {

using nlohmann::json;

constexpr char kModulesFile[] = "modules.json";
constexpr char kUsualPoolingPath[] = "1_Pooling";
constexpr char kPoolingConfig[] = "config.json";
constexpr char kModePrefix[] = "pooling_mode_";

std::string PoolingConfigIn(absl::string_view path) {
  absl::ConsumeSuffix(&path, "/");
  return path.empty() ? kPoolingConfig
                      : absl::StrCat(path, "/", kPoolingConfig);
}

// Text of an entry of modules.json; empty: none.
std::string TextIn(const json& module, const char* key) {
  const json value = module.is_object() ? module.value(key, json()) : json();
  return value.is_string() ? value.get<std::string>() : "";
}

// "Pooling" of "sentence_transformers.models.Pooling".
std::string LastName(const std::string& type) {
  return type.substr(type.rfind('.') + 1);
}

// The names of the modes that are chosen: those that are true, or, as later
// versions write it, those under one key.
std::vector<std::string> ChosenModes(const json& config) {
  std::vector<std::string> chosen;
  const json mode = config.value("pooling_mode", json());
  if (mode.is_string()) return {mode.get<std::string>()};
  for (const auto& [name, value] : config.items()) {
    if (name.rfind(kModePrefix, 0) == 0 && value == true) {
      const std::string suffix = name.substr(sizeof(kModePrefix) - 1);
      chosen.emplace_back(absl::StripSuffix(suffix, "_tokens"));
    }
  }
  for (const json& each : mode.is_array() ? mode : json::array()) {
    chosen.push_back(ShortJson(each));
  }
  return chosen;
}

// "cls_token" is written so in the older way only.
bool IsOnly(const std::vector<std::string>& chosen, absl::string_view name) {
  return chosen.size() == 1 &&
         absl::StripSuffix(chosen.front(), "_token") == name;
}

}  // namespace

absl::StatusOr<std::string> FindPoolingFile(const std::string& folder) {
  const absl::StatusOr<json> modules =
      ReadJson(folder, kModulesFile, /*is_list=*/true);
  if (absl::IsNotFound(modules.status()))
    return PoolingConfigIn(kUsualPoolingPath);
  LORY_RETURN_IF_ERROR(modules.status());
  std::string found;
  for (size_t i = 0; i < modules->size(); ++i) {
    const json& module = (*modules)[i];
    const std::string name = LastName(TextIn(module, "type"));
    const std::string path = TextIn(module, "path");
    const auto refuse = [&](absl::string_view why) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder, "/", kModulesFile, ": [", i, "]: ", why));
    };
    if (name == "Pooling" && found.empty()) {
      found = PoolingConfigIn(path);
    } else if (name == "Transformer" && !path.empty() && path != ".") {
      return refuse(absl::StrCat("the Transformer is in ", ShortJson(path),
                                 "; it must be in the folder itself"));
    } else if (name != "Transformer" && name != "Normalize") {
      return refuse(absl::StrCat(
          "type is ",
          ShortJson(module.is_object() ? module.value("type", json()) : module),
          "; only one Transformer, one Pooling and Normalize can be run"));
    }
  }
  return found;
}

absl::StatusOr<Pooling> ReadPooling(const std::string& folder,
                                    const std::string& file) {
  if (file.empty()) return Pooling::kMean;
  const absl::StatusOr<json> config = ReadJson(folder, file);
  if (absl::IsNotFound(config.status()) &&
      absl::IsNotFound(ReadJson(folder, kModulesFile, true).status())) {
    return Pooling::kMean;
  }
  LORY_RETURN_IF_ERROR(config.status());
  const std::vector<std::string> chosen = ChosenModes(*config);
  if (IsOnly(chosen, "mean")) return Pooling::kMean;
  if (IsOnly(chosen, "cls")) return Pooling::kCls;
  return absl::InvalidArgumentError(
      absl::StrCat(folder, "/", file,
                   ": neither pooling_mode_mean_tokens nor "
                   "pooling_mode_cls_token alone is true, nor is pooling_mode "
                   "mean or cls: say embed.pooling"));
}

}  // namespace lory::corpus
