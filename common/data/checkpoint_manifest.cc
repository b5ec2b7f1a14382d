#include "common/data/checkpoint_manifest.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/io/json_text.h"

namespace lory::data {
namespace {

using nlohmann::ordered_json;

constexpr char kTokenizer[] = "tokenizer_sha256";
constexpr char kNotAHash[] = "is not 64 digits of 0 to 9 and a to f";

absl::Status Wrong(absl::string_view key, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("checkpoint manifest: ", key, " ", what));
}

// Reads members of one object; the first thing wrong stays in `status`.
class Fields {
 public:
  Fields(const ordered_json& object, std::string path)
      : object_(object), path_(std::move(path)) {}

  std::string Text(const char* key) {
    const ordered_json* value = Get(key);
    if (value == nullptr) return "";
    if (!value->is_string()) Fail(key, "is not a text");
    return value->is_string() ? value->get<std::string>() : "";
  }

  int64_t Integer(const char* key) {
    const ordered_json* value = Get(key);
    if (value == nullptr) return 0;
    // Larger ones would come out below 0.
    if (value->is_number_unsigned() &&
        value->get<uint64_t>() <= uint64_t{INT64_MAX}) {
      return value->get<int64_t>();
    }
    Fail(key, "is not a whole number from 0 to 2^63 - 1");
    return 0;
  }

  // Null when missing.
  const ordered_json* Get(const char* key) {
    if (const ordered_json* value = Find(key)) return value;
    Fail(key, "is missing");
    return nullptr;
  }

  // The same, and nothing wrong where it is missing.
  const ordered_json* Find(const char* key) {
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  void Fail(absl::string_view key, absl::string_view what) {
    if (status_.ok()) status_ = Wrong(absl::StrCat(path_, key), what);
  }

  const absl::Status& status() const { return status_; }

 private:
  const ordered_json& object_;
  const std::string path_;
  absl::Status status_;
};

absl::Status ParseParts(const ordered_json& parts,
                        lory::v1::Checkpoint& checkpoint) {
  if (!parts.is_array() || parts.empty()) return Wrong("parts", "is empty");
  int64_t size = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string path = absl::StrCat("parts[", i, "].");
    if (!parts[i].is_object()) return Wrong(path, "is not an object");
    Fields fields(parts[i], path);
    lory::v1::CheckpointPart* part = checkpoint.add_parts();
    part->set_index(static_cast<int32_t>(i));
    part->set_count(static_cast<int32_t>(parts.size()));
    part->set_file(fields.Text("file"));
    part->set_size_bytes(fields.Integer("size_bytes"));
    part->set_sha256(fields.Text("sha256"));
    if (__builtin_add_overflow(size, part->size_bytes(), &size)) {
      fields.Fail("size_bytes", "is more than all parts together may have");
    }
    if (part->file().find('/') != std::string::npos) {
      fields.Fail("file", "is not a base name");
    }
    LORY_RETURN_IF_ERROR(fields.status());
  }
  checkpoint.set_size_bytes(size);
  return absl::OkStatus();
}

}  // namespace

bool IsSha256Hex(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(c) && !absl::ascii_isupper(c);
         });
}

std::string SerializeCheckpointManifest(const CheckpointManifest& manifest) {
  const lory::v1::Checkpoint& checkpoint = manifest.checkpoint;
  ordered_json json;
  json["version"] = CheckpointManifest::kVersion;
  json["job"] = manifest.job;
  json["step"] = checkpoint.step();
  json["generation"] = checkpoint.generation();
  // The next step to train; position in the data follows from it.
  json["cursor"] = checkpoint.step();
  json["sample_digest"] = absl::BytesToHexString(checkpoint.sample_digest());
  ordered_json parts = ordered_json::array();
  for (const lory::v1::CheckpointPart& part : checkpoint.parts()) {
    parts.push_back({{"file", part.file()},
                     {"size_bytes", part.size_bytes()},
                     {"sha256", part.sha256()}});
  }
  json["parts"] = std::move(parts);
  json["previous_manifest_sha256"] = manifest.previous_sha256;
  if (!manifest.tokenizer_sha256.empty()) {
    json[kTokenizer] = manifest.tokenizer_sha256;
  }
  std::string spec;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(
      manifest.spec, &spec, options);
  json["spec"] = status.ok() ? ordered_json::parse(spec, nullptr, false)
                             : ordered_json::object();
  return json.dump(1) + "\n";
}

absl::StatusOr<CheckpointManifest> ParseCheckpointManifest(
    absl::string_view text) {
  const absl::StatusOr<ordered_json> parsed = io::ParseJsonObject(text);
  if (!parsed.ok()) return Wrong("text", parsed.status().message());
  const ordered_json& json = *parsed;
  Fields fields(json, "");
  if (json.contains("kind") && json["kind"] == kDatasetKind) {
    return absl::InvalidArgumentError(
        "this is a dataset, and no checkpoint: one is a folder step-N.gen-G, "
        "as `loryctl checkpoint list JOB -o yaml` names them");
  }
  const int64_t version = fields.Integer("version");
  LORY_RETURN_IF_ERROR(fields.status());
  if (version > CheckpointManifest::kVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "checkpoint manifest of version ", version, "; this program knows ",
        "versions up to ", CheckpointManifest::kVersion));
  }
  CheckpointManifest manifest;
  lory::v1::Checkpoint& checkpoint = manifest.checkpoint;
  manifest.job = fields.Text("job");
  checkpoint.set_step(fields.Integer("step"));
  checkpoint.set_generation(fields.Integer("generation"));
  const std::string digest = fields.Text("sample_digest");
  manifest.previous_sha256 = fields.Text("previous_manifest_sha256");
  if (fields.Find(kTokenizer) != nullptr) {
    manifest.tokenizer_sha256 = fields.Text(kTokenizer);
    if (!IsSha256Hex(manifest.tokenizer_sha256)) {
      fields.Fail(kTokenizer, kNotAHash);
    }
  }
  const ordered_json* parts = fields.Get("parts");
  const ordered_json* spec = fields.Get("spec");
  if (!IsSha256Hex(digest)) fields.Fail("sample_digest", kNotAHash);
  LORY_RETURN_IF_ERROR(fields.status());
  checkpoint.set_name(
      absl::StrCat(manifest.job, "/checkpoints/", checkpoint.step()));
  checkpoint.set_sample_digest(absl::HexStringToBytes(digest));
  LORY_RETURN_IF_ERROR(ParseParts(*parts, checkpoint));
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(
      spec->dump(), &manifest.spec, options);
  if (!status.ok()) return Wrong("spec", "is not a job's spec");
  return manifest;
}

}  // namespace lory::data
