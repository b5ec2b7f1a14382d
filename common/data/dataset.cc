#include "common/data/dataset.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"

namespace lory::data {
namespace {

absl::Status CheckHash(const std::string& path, const std::string& expected) {
  LORY_ASSIGN_OR_RETURN(const std::string actual, io::FileSha256Hex(path));
  if (actual == expected) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, ": SHA-256 is ", actual,
                                          ", the manifest says ", expected,
                                          ": altered since it was built"));
}

absl::StatusOr<std::unique_ptr<ShardReader>> OpenShard(
    const std::string& folder, const ShardEntry& entry, int32_t sequence_length,
    bool verify_hashes) {
  const std::string prefix = absl::StrCat(folder, "/", entry.file);
  absl::StatusOr<std::unique_ptr<ShardReader>> shard =
      ShardReader::Open(prefix);
  if (absl::IsNotFound(shard.status())) {
    return Annotate(shard.status(), "a shard is missing, dataset moved?");
  }
  LORY_RETURN_IF_ERROR(shard.status());
  LORY_ASSIGN_OR_RETURN(const int64_t bin_bytes,
                        io::LocalStorage().Size(absl::StrCat(prefix, ".bin")));
  if ((*shard)->sequence_count() != entry.sequence_count ||
      (*shard)->tokens_per_sequence() != sequence_length + 1 ||
      bin_bytes != entry.bin_bytes) {
    return absl::DataLossError(absl::StrCat(
        prefix, ": ", (*shard)->sequence_count(), " sequences of ",
        (*shard)->tokens_per_sequence(), " tokens, the manifest says ",
        entry.sequence_count, " of ", sequence_length + 1,
        ": altered since it was built"));
  }
  if (verify_hashes) {
    LORY_RETURN_IF_ERROR(
        CheckHash(absl::StrCat(prefix, ".bin"), entry.bin_sha256));
    LORY_RETURN_IF_ERROR(
        CheckHash(absl::StrCat(prefix, ".idx"), entry.idx_sha256));
  }
  return shard;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> Dataset::Open(
    const std::string& manifest_path, bool verify_hashes) {
  std::unique_ptr<Dataset> dataset(new Dataset);
  LORY_ASSIGN_OR_RETURN(dataset->manifest_, ReadDatasetManifest(manifest_path));
  const DatasetManifest& manifest = dataset->manifest_;
  const std::string folder = dataset->folder_ =
      std::filesystem::absolute(manifest_path).parent_path().string();
  for (const ShardEntry& entry : manifest.shards) {
    LORY_ASSIGN_OR_RETURN(
        std::unique_ptr<ShardReader> shard,
        OpenShard(folder, entry, manifest.sequence_length, verify_hashes));
    dataset->first_index_.push_back(dataset->sequence_count_);
    dataset->sequence_count_ += shard->sequence_count();
    dataset->shards_.push_back(std::move(shard));
  }
  for (const HeldOutEntry& entry : manifest.held_out) {
    LORY_ASSIGN_OR_RETURN(std::unique_ptr<ShardReader> shard,
                          OpenShard(folder, entry.shard,
                                    manifest.sequence_length, verify_hashes));
    dataset->held_out_.push_back(std::move(shard));
  }
  if (verify_hashes) {
    LORY_RETURN_IF_ERROR(
        CheckHash(absl::StrCat(folder, "/", manifest.tokenizer_file),
                  manifest.tokenizer_sha256));
  }
  return dataset;
}

absl::Status Dataset::Read(int64_t index, std::span<int64_t> tokens) const {
  LORY_CHECK(index >= 0 && index < sequence_count_);
  const auto after =
      std::upper_bound(first_index_.begin(), first_index_.end(), index);
  const size_t shard = static_cast<size_t>(after - first_index_.begin()) - 1;
  const int64_t place = index - first_index_[shard];
  shards_[shard]->Read(place, tokens);
  return CheckTokens(manifest_.shards[shard].file, place, tokens);
}

absl::Status Dataset::ReadHeldOut(int i, int64_t index,
                                  std::span<int64_t> tokens) const {
  held_out_[i]->Read(index, tokens);
  return CheckTokens(manifest_.held_out[i].shard.file, index, tokens);
}

absl::Status Dataset::CheckTokens(const std::string& file, int64_t index,
                                  std::span<const int64_t> tokens) const {
  const int64_t size = manifest_.vocabulary_size;
  const auto wrong =
      std::find_if(tokens.begin(), tokens.end(),
                   [&](int64_t token) { return token < 0 || token >= size; });
  if (wrong == tokens.end()) return absl::OkStatus();
  return ErrorWithReason(
      absl::StatusCode::kDataLoss, "TOKEN_OUT_OF_RANGE",
      absl::StrCat(folder_, "/", file, ".bin: sequence ", index, " has token ",
                   *wrong, ", but vocabulary_size in the manifest is ", size));
}

}  // namespace lory::data
