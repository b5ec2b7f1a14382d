#include "tools/model/generation_notes.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/generation_labels.h"
#include "common/io/json_text.h"
#include "common/io/storage.h"
#include "common/text/text_marks.h"
#include "tools/model/hugging_face_config.h"
#include "tools/model/token_ids.h"

namespace lory::surgery {
namespace {

using nlohmann::ordered_json;

using ::lory::config::kGenerationLabel;
using ::lory::config::kTokenIdsLabel;

// What transformers says of itself; another may read the file.
constexpr char kVersion[] = "transformers_version";

absl::StatusOr<ordered_json> ReadObject(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string text,
                        lory::io::LocalStorage().Read(path));
  auto json = lory::io::ParseJsonObject(text);
  if (!json.ok()) return Annotate(json.status(), path);
  return json;
}

std::string LabelOf(const lory::v1::JobSpec& spec, const char* name) {
  const auto found = spec.labels().find(name);
  return found == spec.labels().end() ? "" : found->second;
}

// The id of the token that tokenizer_config.json has under `key`; -1: none.
int32_t IdBeside(const TokenizerFile& file, const char* key) {
  const auto beside = file.beside.find(lory::text::kTokenizerConfigFile);
  if (beside == file.beside.end()) return -1;
  const auto config = lory::io::ParseJsonObject(beside->second);
  if (!config.ok() || !config->contains(key)) return -1;
  const ordered_json& token = (*config)[key];
  const ordered_json& text =
      token.is_object() && token.contains("content") ? token["content"] : token;
  if (!text.is_string()) return -1;
  return file.tokenizer->SpecialId(text.get<std::string>());
}

ordered_json IdsOf(const TokenizerFile& file) {
  const int32_t end = file.tokenizer->end_of_document_id();
  const std::vector<int32_t> before = file.tokenizer->marks().before;
  int32_t eos = IdBeside(file, "eos_token");
  if (eos < 0) eos = end;
  int32_t bos = IdBeside(file, "bos_token");
  if (bos < 0) bos = before.empty() ? end : before.front();
  ordered_json ids = ordered_json::object();
  if (bos >= 0) ids["bos_token_id"] = bos;
  if (eos >= 0) ids["eos_token_id"] = eos;
  return ids;
}

}  // namespace

absl::StatusOr<GenerationNotes> ReadGenerationNotes(const std::string& folder,
                                                    int64_t vocabulary_size) {
  GenerationNotes notes;
  const std::string config_path = absl::StrCat(folder, "/", kConfigFile);
  LORY_ASSIGN_OR_RETURN(ordered_json config, ReadObject(config_path));
  LORY_RETURN_IF_ERROR(
      CheckTokenIds(config_path, vocabulary_size, config, notes.words));
  ordered_json ids = ordered_json::object();
  for (const char* key : kTokenIdKeys) {
    if (config.contains(key) && !config[key].is_null()) ids[key] = config[key];
  }
  // What transformers' Llama and Mixtral have where the file has nothing.
  if (!config.contains("bos_token_id")) ids["bos_token_id"] = 1;
  if (!config.contains("eos_token_id")) ids["eos_token_id"] = 2;
  if (!ids.empty()) notes.token_ids = ids.dump();
  const std::string path = absl::StrCat(folder, "/", kGenerationFile);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return notes;
  LORY_ASSIGN_OR_RETURN(ordered_json generation, ReadObject(path));
  LORY_RETURN_IF_ERROR(
      CheckTokenIds(path, vocabulary_size, generation, notes.words));
  generation.erase(kVersion);
  notes.generation = generation.dump();
  return notes;
}

void AddLabels(const GenerationNotes& notes, lory::v1::JobSpec& spec) {
  for (const auto& [name, text] : {std::pair(kTokenIdsLabel, notes.token_ids),
                                   {kGenerationLabel, notes.generation}}) {
    if (!text.empty()) (*spec.mutable_labels())[name] = text;
  }
}

GenerationNotes NotesOf(const lory::v1::JobSpec& spec) {
  return {.token_ids = LabelOf(spec, kTokenIdsLabel),
          .generation = LabelOf(spec, kGenerationLabel)};
}

GenerationNotes Completed(const GenerationNotes& notes,
                          const TokenizerFile* tokenizer) {
  GenerationNotes all = notes;
  if (all.token_ids.empty() && tokenizer != nullptr) {
    all.token_ids = IdsOf(*tokenizer).dump();
  }
  if (!all.generation.empty()) return all;
  ordered_json generation = {{"_from_model_config", true}};
  if (const auto ids = lory::io::ParseJsonObject(all.token_ids); ids.ok()) {
    generation.update(*ids);
  }
  all.generation = generation.dump();
  return all;
}

}  // namespace lory::surgery
