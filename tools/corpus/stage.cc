#include "tools/corpus/stage.h"

#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/io/json_text.h"
#include "common/io/storage.h"

namespace lory::corpus {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kRecordFile[] = "stage.json";
// Of everything else in the record.
constexpr char kOwnHash[] = "sha256";

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json WhatItIsMadeFrom(const Stage& stage) {
  Json inputs = Json::object();
  for (const auto& [name, hash] : stage.inputs) inputs[name] = hash;
  return {{"stage", stage.name},
          {"version", stage.version},
          {"options", stage.options},
          {"inputs", inputs}};
}

// Whether every output is there with its size. Hashes come when a stage reads
// it: a build must not read everything to find that nothing is to do.
bool OutputsAreThere(const StageRecord& record) {
  for (const StageOutput& output : record.outputs) {
    const auto bytes = io::LocalStorage().Size(record.PathOf(output.file));
    if (!bytes.ok() || *bytes != output.bytes) return false;
  }
  return true;
}

// The first output that is not what was written; empty: all are.
absl::StatusOr<std::string> AlteredOutput(const StageRecord& record) {
  for (const StageOutput& output : record.outputs) {
    LORY_ASSIGN_OR_RETURN(const std::string sha256,
                          io::FileSha256Hex(record.PathOf(output.file)));
    if (sha256 != output.sha256) return record.PathOf(output.file);
  }
  return std::string();
}

// Bytes that a file system has for a folder, which need not be there yet; none:
// it does not say.
std::optional<uint64_t> FreeBytes(std::filesystem::path folder) {
  std::error_code error;
  while (!std::filesystem::exists(folder, error) && folder.has_parent_path() &&
         folder.parent_path() != folder) {
    folder = folder.parent_path();
  }
  const auto space = std::filesystem::space(folder, error);
  if (error) return std::nullopt;
  return space.available;
}

// Whether the system gave this reason, whatever it was doing.
bool IsBecause(const absl::Status& status, int error) {
  return absl::StrContains(status.message(),
                           std::generic_category().message(error));
}

// What people need to know about a full disk, which need not be full: a quota
// or a limit on the size of a file may be reached.
absl::Status WithRoom(const absl::Status& status,
                      const std::optional<uint64_t>& free_before) {
  constexpr absl::string_view kGoOn =
      " and run the same command again: it goes on with this stage";
  if (IsBecause(status, EFBIG)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        status.message(),
        ": a file may not get so large here: raise the limit (ulimit -f) or "
        "choose another file system",
        kGoOn));
  }
  if (IsBecause(status, EDQUOT)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(status.message(),
                     ": the quota is used up, whatever is free: raise it or "
                     "remove files of yours",
                     kGoOn));
  }
  std::string needs;
  if (free_before) {
    needs = absl::StrFormat("%.2f MB were free when the stage began; ",
                            static_cast<double>(*free_before) / 1e6);
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(status.message(), ": ", needs, "make room", kGoOn));
}

}  // namespace

std::string StageRecord::OutputHash() const {
  std::string all;
  for (const StageOutput& output : outputs) {
    absl::StrAppend(&all, output.file, " ", output.sha256, "\n");
  }
  return Sha256Hex(all);
}

std::string StageRecord::PathOf(absl::string_view file) const {
  return absl::StrCat(folder, "/", file);
}

int64_t StageRecord::Count(const std::string& figure) const {
  const auto found = figures.find(figure);
  LORY_CHECK(found != figures.end());
  return static_cast<int64_t>(found->second);
}

std::string SerializeStageRecord(const Stage& stage,
                                 const StageRecord& record) {
  Json json = WhatItIsMadeFrom(stage);
  json["fingerprint"] = record.fingerprint;
  json["outputs"] = Json::array();
  for (const StageOutput& output : record.outputs) {
    json["outputs"].push_back({{"file", output.file},
                               {"bytes", output.bytes},
                               {"sha256", output.sha256}});
  }
  json["figures"] = record.figures;
  json[kOwnHash] = Sha256Hex(Dump(json));
  return Dump(json) + "\n";
}

absl::StatusOr<StageRecord> ParseStageRecord(absl::string_view text,
                                             std::string folder) {
  const absl::Status damaged =
      absl::DataLossError(absl::StrCat(folder, "/stage.json is damaged"));
  absl::StatusOr<Json> parsed = io::ParseJsonObject(text);
  if (!parsed.ok()) return damaged;
  Json& json = *parsed;
  if (!json.contains("fingerprint") || !json["fingerprint"].is_string() ||
      !json.contains("outputs") || !json["outputs"].is_array() ||
      !json.contains("figures") || !json["figures"].is_object()) {
    return damaged;
  }
  const Json hash = json.value(kOwnHash, Json());
  json.erase(kOwnHash);
  if (hash != Sha256Hex(Dump(json))) return damaged;
  StageRecord record;
  record.folder = std::move(folder);
  record.fingerprint = json["fingerprint"].get<std::string>();
  for (const Json& output : json["outputs"]) {
    if (!output.is_object() || !output.contains("file") ||
        !output["file"].is_string() || !output.contains("bytes") ||
        !output["bytes"].is_number_integer() || !output.contains("sha256") ||
        !output["sha256"].is_string()) {
      return damaged;
    }
    record.outputs.push_back({output["file"].get<std::string>(),
                              output["bytes"].get<int64_t>(),
                              output["sha256"].get<std::string>()});
  }
  for (const auto& [name, value] : json["figures"].items()) {
    if (!value.is_number()) return damaged;
    record.figures[name] = value.get<double>();
  }
  return record;
}

std::string FingerprintOf(const Stage& stage) {
  return Sha256Hex(WhatItIsMadeFrom(stage).dump(
      -1, ' ', false, Json::error_handler_t::replace));
}

std::string StageRunner::RecordPath(const std::string& stage) const {
  return absl::StrCat(root_, "/", stage, "/", kRecordFile);
}

absl::Status StageRunner::CheckInputs(const Stage& stage) {
  for (const auto& [name, hash] : stage.inputs) {
    const auto found = unread_.find(name);
    if (found == unread_.end()) continue;
    LORY_ASSIGN_OR_RETURN(const std::string altered,
                          AlteredOutput(found->second));
    unread_.erase(found);
    if (altered.empty()) continue;
    LORY_RETURN_IF_ERROR(io::LocalStorage().Remove(RecordPath(name)));
    return absl::AbortedError(absl::StrCat(altered, " is not what ", name,
                                           " wrote: it is done again"));
  }
  return absl::OkStatus();
}

absl::StatusOr<StageRecord> StageRunner::Run(const Stage& stage) {
  io::Storage& storage = io::LocalStorage();
  const std::string own_folder = absl::StrCat(root_, "/", stage.name);
  const std::string folder = stage.folder.empty() ? own_folder : stage.folder;
  const std::string fingerprint = FingerprintOf(stage);
  const absl::StatusOr<std::string> text = storage.Read(RecordPath(stage.name));
  if (text.ok() && stage.name != redo_) {
    absl::StatusOr<StageRecord> record = ParseStageRecord(*text, folder);
    if (record.ok() && record->fingerprint == fingerprint &&
        OutputsAreThere(*record)) {
      progress_.Say(absl::StrCat(
          stage.name,
          std::string(stage.name.size() < 10 ? 11 - stage.name.size() : 1, ' '),
          "up to date"));
      unread_[stage.name] = *record;
      return record;
    }
  }
  LORY_RETURN_IF_ERROR(CheckInputs(stage));
  // Everything goes, half-written files of a killed run too.
  LORY_RETURN_IF_ERROR(storage.Remove(own_folder));
  const std::optional<uint64_t> free_before = FreeBytes(root_);
  absl::StatusOr<StageRecord> record = RunAnew(stage, folder, fingerprint);
  if (record.ok()) {
    redone_ |= stage.name == redo_;
    return record;
  }
  const absl::Status status = Annotate(record.status(), stage.name);
  return absl::IsResourceExhausted(status) ? WithRoom(status, free_before)
                                           : status;
}

absl::StatusOr<StageRecord> StageRunner::RunAnew(
    const Stage& stage, const std::string& folder,
    const std::string& fingerprint) {
  io::Storage& storage = io::LocalStorage();
  progress_.Start(stage.name, 0);
  LORY_ASSIGN_OR_RETURN(StageResult result, stage.run(folder));
  StageRecord record;
  record.folder = folder;
  record.fingerprint = fingerprint;
  record.figures = std::move(result.figures);
  for (const std::string& file : result.files) {
    const std::string path = record.PathOf(file);
    LORY_ASSIGN_OR_RETURN(const int64_t bytes, storage.Size(path));
    LORY_ASSIGN_OR_RETURN(std::string sha256, io::FileSha256Hex(path));
    record.outputs.push_back({file, bytes, std::move(sha256)});
  }
  LORY_RETURN_IF_ERROR(storage.Write(RecordPath(stage.name),
                                     SerializeStageRecord(stage, record)));
  progress_.Finish(result.summary);
  return record;
}

}  // namespace lory::corpus
