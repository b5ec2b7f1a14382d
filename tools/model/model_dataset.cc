#include "tools/model/model_dataset.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/text/same_tokenizer.h"

namespace lory::surgery {

namespace fs = std::filesystem;
using ::lory::data::Dataset;

constexpr char kRemedy[] =
    "give a dataset that `lory-corpus build` made with the model's tokenizer, "
    "`tokenizer: {file: ...}`";

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
  if (manifest.vocabulary_size != shape.vocabulary_size) {
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
        "; give a dataset of shorter ones, or plain text with --text"));
  }
  if (manifest.held_out.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     ": no held-out text; build the dataset with "
                     "held_out.fraction above 0"));
  }
  return dataset;
}

}  // namespace lory::surgery
