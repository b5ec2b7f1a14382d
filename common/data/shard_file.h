#ifndef LORY_COMMON_DATA_SHARD_FILE_H_
#define LORY_COMMON_DATA_SHARD_FILE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/dataset_manifest.h"

// Token shards: a .bin of token ids and a .idx in the layout of Megatron-LM's
// indexed dataset (magic MMIDIDX, version 1), so that Megatron reads ours.
// One entry a sequence, all of one length. Ids are uint16 below 65536 tokens
// of vocabulary, else int32. docs/formats.md has the bytes.
namespace lory::data {

// Writes one shard to `path_prefix`.bin and .idx through temporary names.
// Thread-compatible.
class ShardWriter {
 public:
  // INVALID_ARGUMENT: a length or vocabulary out of range; otherwise the
  // operating system's error.
  static absl::StatusOr<std::unique_ptr<ShardWriter>> Create(
      std::string path_prefix, int32_t tokens_per_sequence,
      int64_t vocabulary_size);
  virtual ~ShardWriter() = default;

  // `tokens` must have tokens_per_sequence ids below the vocabulary size.
  virtual absl::Status Append(std::span<const int32_t> tokens) = 0;

  // Syncs, renames into place and returns the manifest's entry. Blocks for
  // the disk. Nothing may follow.
  virtual absl::StatusOr<ShardEntry> Finish() = 0;
};

// A memory-mapped shard. Immutable; thread-safe.
class ShardReader {
 public:
  // Checks magic, version, sizes and counts against each other.
  // NOT_FOUND: a file is missing. DATA_LOSS: truncated or inconsistent, names
  // the file.
  static absl::StatusOr<std::unique_ptr<ShardReader>> Open(
      std::string path_prefix);
  virtual ~ShardReader() = default;

  virtual int64_t sequence_count() const = 0;
  virtual int32_t tokens_per_sequence() const = 0;

  // Copies sequence `index` into `tokens` (tokens_per_sequence long).
  virtual void Read(int64_t index, std::span<int64_t> tokens) const = 0;
};

}  // namespace lory::data

#endif  // LORY_COMMON_DATA_SHARD_FILE_H_
