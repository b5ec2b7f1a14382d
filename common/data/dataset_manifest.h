#ifndef LORY_COMMON_DATA_DATASET_MANIFEST_H_
#define LORY_COMMON_DATA_DATASET_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// What a dataset is made of: `manifest.json` beside its shards.
// docs/formats.md describes the file.
namespace lory::data {

struct ShardEntry {
  std::string file;            // base name, without .bin/.idx, in the folder
  int64_t sequence_count = 0;  // each of sequence_length + 1 tokens
  int64_t bin_bytes = 0;
  std::string bin_sha256;  // hex
  std::string idx_sha256;  // hex
};

// Held-out text of one domain, never trained.
struct HeldOutEntry {
  std::string domain;
  ShardEntry shard;
  // The corpus has no training text of the domain at all (holdout_domains).
  bool kept_out = false;
};

struct DatasetManifest {
  static constexpr int kVersion = 1;

  std::string name;
  std::string order;  // similarity or random
  uint64_t seed = 0;
  int32_t sequence_length = 0;  // L; stored sequences have one token more
  int64_t vocabulary_size = 0;
  std::string tokenizer_file;    // in the folder
  std::string tokenizer_sha256;  // hex
  int64_t document_count = 0;
  int64_t token_count = 0;  // in the training shards
  std::vector<ShardEntry> shards;
  std::vector<HeldOutEntry> held_out;  // sorted by domain
  // Mean cosine similarity of neighbouring documents inside sequences.
  double neighbor_similarity = 0;

  int64_t SequenceCount() const;
};

// What manifest.json says it is.
inline constexpr char kDatasetKind[] = "lory.dataset";

// Text of manifest.json, and back.
//
// ParseDatasetManifest: INVALID_ARGUMENT names the key that is missing or
// wrong; FAILED_PRECONDITION: written by a newer version.
std::string SerializeDatasetManifest(const DatasetManifest& manifest);
absl::StatusOr<DatasetManifest> ParseDatasetManifest(absl::string_view text);

// Reads and parses `path`. Also NOT_FOUND when there is no such file.
absl::StatusOr<DatasetManifest> ReadDatasetManifest(const std::string& path);

}  // namespace lory::data

#endif  // LORY_COMMON_DATA_DATASET_MANIFEST_H_
