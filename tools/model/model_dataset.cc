#include "tools/model/model_dataset.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/same_tokenizer.h"

namespace lory::surgery {

namespace fs = std::filesystem;
using ::lory::data::Dataset;

namespace {

constexpr char kRemedy[] =
    "give a dataset that `lory-corpus build` made with the model's tokenizer, "
    "`tokenizer: {file: ...}`";

// Whether the held-out shards are what the manifest says. The training text,
// of which nothing is read here, may be a thousand times as large.
absl::Status CheckHeldOutBytes(const std::string& manifest_path,
                               const lory::data::DatasetManifest& manifest) {
  const fs::path folder = fs::path(manifest_path).parent_path();
  for (const lory::data::HeldOutEntry& entry : manifest.held_out) {
    for (const auto& [suffix, expected] :
         {std::pair(".bin", entry.shard.bin_sha256),
          std::pair(".idx", entry.shard.idx_sha256)}) {
      const std::string path = folder / (entry.shard.file + suffix);
      LORY_ASSIGN_OR_RETURN(const std::string found,
                            lory::io::FileSha256Hex(path));
      if (found == expected) continue;
      return absl::DataLossError(absl::StrCat(
          path, ": SHA-256 is ", found, ", the manifest says ", expected,
          ": altered since it was built; copy it again, or `lory-corpus build` "
          "again"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string ManifestOf(const std::string& data) {
  std::error_code error;
  return fs::is_directory(data, error) ? absl::StrCat(data, "/manifest.json")
                                       : data;
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenHeldOut(
    const std::string& data, const lory::config::ModelShape& shape,
    const std::string& tokenizer_sha256) {
  const std::string path = ManifestOf(data);
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<Dataset> dataset,
                        Dataset::Open(path, /*verify_hashes=*/false));
  const lory::data::DatasetManifest& manifest = dataset->manifest();
  const bool is_surely_its_own = !tokenizer_sha256.empty() &&
                                 tokenizer_sha256 == manifest.tokenizer_sha256;
  if (manifest.vocabulary_size > shape.vocabulary_size ||
      (manifest.vocabulary_size < shape.vocabulary_size &&
       !is_surely_its_own)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": a vocabulary of ", manifest.vocabulary_size,
        ", the model's is ", shape.vocabulary_size, "; ", kRemedy));
  }
  LORY_RETURN_IF_ERROR(
      lory::text::CheckSameTokenizer({path, manifest.tokenizer_sha256},
                                     {"the model", tokenizer_sha256}, kRemedy));
  if (manifest.sequence_length > shape.sequence_length) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": sequences of ", manifest.sequence_length,
        " tokens, the model reads ", shape.sequence_length,
        "; give a dataset of shorter ones; plain text of any length is read by "
        "`lory-model eval --text`"));
  }
  if (manifest.held_out.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     ": no held-out text; build the dataset with "
                     "held_out.fraction above 0"));
  }
  LORY_RETURN_IF_ERROR(CheckHeldOutBytes(path, manifest));
  return dataset;
}

}  // namespace lory::surgery
