#ifndef LORY_COMMON_DATA_DATASET_H_
#define LORY_COMMON_DATA_DATASET_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data/dataset_manifest.h"
#include "common/data/shard_file.h"

namespace lory::data {

// A dataset on disk, opened for reading: its manifest and mapped shards.
// Immutable; thread-safe.
class Dataset {
 public:
  // Opens the manifest at `manifest_path` and every shard beside it, and
  // checks each against the manifest's counts and sizes; with `verify_hashes`
  // also its SHA-256 (reads every byte, once).
  //
  // NOT_FOUND: the manifest or a shard is not there ("dataset moved?").
  // DATA_LOSS: a shard is truncated or altered; names the file.
  static absl::StatusOr<std::unique_ptr<Dataset>> Open(
      const std::string& manifest_path, bool verify_hashes);

  const DatasetManifest& manifest() const { return manifest_; }
  int64_t sequence_count() const { return sequence_count_; }

  // Copies training sequence `index` (0 <= index < sequence_count) into
  // `tokens`, sequence_length + 1 long.
  void Read(int64_t index, std::span<int64_t> tokens) const;

  // Held-out shard `i`, in the manifest's order.
  const ShardReader& held_out(int i) const { return *held_out_[i]; }

 private:
  Dataset() = default;

  DatasetManifest manifest_;
  int64_t sequence_count_ = 0;
  std::vector<int64_t> first_index_;  // of each shard
  std::vector<std::unique_ptr<ShardReader>> shards_;
  std::vector<std::unique_ptr<ShardReader>> held_out_;
};

}  // namespace lory::data

#endif  // LORY_COMMON_DATA_DATASET_H_
