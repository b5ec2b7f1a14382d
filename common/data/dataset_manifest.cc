#include "common/data/dataset_manifest.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "nlohmann/json.hpp"

namespace lory::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostSequences = int64_t{1} << 40;  // of a shard
constexpr int32_t kMostSequenceLength = 1 << 30;

Json ShardToJson(const ShardEntry& shard) {
  return {{"file", shard.file},
          {"sequence_count", shard.sequence_count},
          {"bin_bytes", shard.bin_bytes},
          {"bin_sha256", shard.bin_sha256},
          {"idx_sha256", shard.idx_sha256}};
}

// Takes values out of one JSON object and remembers the first thing that is
// wrong, with the path of its key.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string where)
      : object_(object), where_(std::move(where)) {
    if (!object.is_object()) Fail("", "must be an object");
  }

  // `most`: a bound that keeps what is computed from it within 64 bits.
  template <typename T>
  void Number(const char* key, T* target,
              T most = std::numeric_limits<T>::max()) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if constexpr (std::is_floating_point_v<T>) {
      if (!value->is_number()) return Fail(key, "must be a number");
    } else {
      if (!value->is_number_unsigned()) {
        return Fail(key, "must be a whole number, not below zero");
      }
      if (value->get<uint64_t>() > static_cast<uint64_t>(most)) {
        return Fail(key, "is too large");
      }
    }
    *target = value->get<T>();
  }

  void Text(const char* key, std::string* target) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_string()) return Fail(key, "must be text");
    *target = value->get<std::string>();
  }

  // May be missing: false then.
  void Flag(const char* key, bool* target) {
    if (!status_.ok() || !object_.contains(key)) return;
    const Json& value = object_[key];
    if (!value.is_boolean()) return Fail(key, "must be true or false");
    *target = value.get<bool>();
  }

  // A name in the manifest's own folder: nothing that leads out of it.
  void BaseName(const char* key, std::string* target) {
    Text(key, target);
    if (status_.ok() &&
        (target->empty() || *target == "." || *target == ".." ||
         absl::StrContains(*target, '/') || absl::StrContains(*target, '\0'))) {
      Fail(key, "must be a file name without folders");
    }
  }

  void Hash(const char* key, std::string* target) {
    Text(key, target);
    if (!status_.ok()) return;
    const auto is_hex = [](unsigned char c) {
      return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
    };
    if (target->size() != 64 ||
        !std::all_of(target->begin(), target->end(), is_hex)) {
      Fail(key, "must be a SHA-256 in 64 lower-case hex digits");
    }
  }

  template <typename Use>
  void Array(const char* key, const Use& use) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_array()) return Fail(key, "must be an array");
    for (size_t i = 0; i < value->size() && status_.ok(); ++i) {
      ObjectReader item((*value)[i], absl::StrCat(where_, key, "[", i, "]."));
      if (item.status_.ok()) use(item);
      status_ = item.status_;
    }
  }

  void Object(const char* key, const std::function<void(ObjectReader&)>& use) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    ObjectReader item(*value, absl::StrCat(where_, key, "."));
    if (item.status_.ok()) use(item);
    status_ = item.status_;
  }

  const absl::Status& status() const { return status_; }

 private:
  const Json* Find(const char* key) {
    if (!status_.ok()) return nullptr;
    const auto found = object_.find(key);
    if (found == object_.end()) {
      Fail(key, "is missing");
      return nullptr;
    }
    return &*found;
  }

  void Fail(absl::string_view key, absl::string_view what) {
    status_ = absl::InvalidArgumentError(absl::StrCat(where_, key, " ", what));
  }

  const Json& object_;
  const std::string where_;
  absl::Status status_;
};

void ReadShard(ObjectReader& object, ShardEntry* shard) {
  object.BaseName("file", &shard->file);
  object.Number("sequence_count", &shard->sequence_count, kMostSequences);
  object.Number("bin_bytes", &shard->bin_bytes);
  object.Hash("bin_sha256", &shard->bin_sha256);
  object.Hash("idx_sha256", &shard->idx_sha256);
}

absl::Status CheckVersion(ObjectReader& object) {
  std::string kind;
  int version = 0;
  object.Text("kind", &kind);
  object.Number("version", &version);
  LORY_RETURN_IF_ERROR(object.status());
  if (kind != kDatasetKind) {
    return absl::InvalidArgumentError(
        absl::StrCat("kind is '", kind, "', expected ", kDatasetKind));
  }
  if (version > DatasetManifest::kVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "version ", version, " of the manifest is newer than this program's ",
        DatasetManifest::kVersion, ": update it"));
  }
  if (version < 1) return absl::InvalidArgumentError("version is below 1");
  return absl::OkStatus();
}

}  // namespace

int64_t DatasetManifest::SequenceCount() const {
  int64_t count = 0;
  for (const ShardEntry& shard : shards) count += shard.sequence_count;
  return count;
}

std::string SerializeDatasetManifest(const DatasetManifest& manifest) {
  Json json = {{"kind", kDatasetKind},
               {"version", DatasetManifest::kVersion},
               {"name", manifest.name},
               {"order", manifest.order},
               {"seed", manifest.seed},
               {"sequence_length", manifest.sequence_length},
               {"vocabulary_size", manifest.vocabulary_size},
               {"tokenizer_file", manifest.tokenizer_file},
               {"tokenizer_sha256", manifest.tokenizer_sha256},
               {"document_count", manifest.document_count},
               {"token_count", manifest.token_count},
               {"neighbor_similarity", manifest.neighbor_similarity},
               {"shards", Json::array()},
               {"held_out", Json::array()}};
  for (const ShardEntry& shard : manifest.shards) {
    json["shards"].push_back(ShardToJson(shard));
  }
  for (const HeldOutEntry& entry : manifest.held_out) {
    Json item = {{"domain", entry.domain}, {"shard", ShardToJson(entry.shard)}};
    if (entry.kept_out) item["kept_out"] = true;
    json["held_out"].push_back(std::move(item));
  }
  // Replaces what is no UTF-8, where the default would throw.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<DatasetManifest> ParseDatasetManifest(absl::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr,
                                /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError("the manifest is no JSON object");
  }
  if (!json.contains("kind") && json.contains("sample_digest")) {
    return absl::InvalidArgumentError(
        "this is a checkpoint, and no dataset: `lory-corpus build` makes one");
  }
  ObjectReader object(json, "");
  LORY_RETURN_IF_ERROR(CheckVersion(object));
  DatasetManifest manifest;
  object.Text("name", &manifest.name);
  object.Text("order", &manifest.order);
  object.Number("seed", &manifest.seed);
  object.Number("sequence_length", &manifest.sequence_length,
                kMostSequenceLength);
  object.Number("vocabulary_size", &manifest.vocabulary_size);
  object.BaseName("tokenizer_file", &manifest.tokenizer_file);
  object.Hash("tokenizer_sha256", &manifest.tokenizer_sha256);
  object.Number("document_count", &manifest.document_count);
  object.Number("token_count", &manifest.token_count);
  object.Number("neighbor_similarity", &manifest.neighbor_similarity);
  object.Array("shards", [&](ObjectReader& item) {
    ReadShard(item, &manifest.shards.emplace_back());
  });
  object.Array("held_out", [&](ObjectReader& item) {
    HeldOutEntry& entry = manifest.held_out.emplace_back();
    item.Text("domain", &entry.domain);
    item.Flag("kept_out", &entry.kept_out);
    item.Object("shard",
                [&](ObjectReader& shard) { ReadShard(shard, &entry.shard); });
  });
  LORY_RETURN_IF_ERROR(object.status());
  if (manifest.sequence_length < 1) {
    return absl::InvalidArgumentError("sequence_length is below 1");
  }
  return manifest;
}

absl::StatusOr<DatasetManifest> ReadDatasetManifest(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string text, io::LocalStorage().Read(path));
  absl::StatusOr<DatasetManifest> manifest = ParseDatasetManifest(text);
  if (!manifest.ok()) return Annotate(manifest.status(), path);
  return manifest;
}

}  // namespace lory::data
