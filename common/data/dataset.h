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
  //
  // DATA_LOSS, TOKEN_OUT_OF_RANGE: a token is not in the manifest's vocabulary;
  // names the file.
  absl::Status Read(int64_t index, std::span<int64_t> tokens) const;

  // The same from held-out set `i`, in the manifest's order.
  absl::Status ReadHeldOut(int i, int64_t index,
                           std::span<int64_t> tokens) const;
  int64_t held_out_count(int i) const { return held_out_[i]->sequence_count(); }

 private:
  Dataset() = default;

  // Of a sequence of the shard `file`.
  absl::Status CheckTokens(const std::string& file, int64_t index,
                           std::span<const int64_t> tokens) const;

  std::string folder_;  // of manifest and shards
  DatasetManifest manifest_;
  int64_t sequence_count_ = 0;
  std::vector<int64_t> first_index_;  // of each shard
  std::vector<std::unique_ptr<ShardReader>> shards_;
  std::vector<std::unique_ptr<ShardReader>> held_out_;
};

}  // namespace lory::data

#endif  // LORY_COMMON_DATA_DATASET_H_
