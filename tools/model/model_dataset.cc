#include "tools/model/model_dataset.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace lory::surgery {

namespace fs = std::filesystem;
using ::lory::data::Dataset;

std::string ManifestOf(const std::string& data) {
  std::error_code error;
  return fs::is_directory(data, error) ? absl::StrCat(data, "/manifest.json")
                                       : data;
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenHeldOut(
    const std::string& data, const lory::model::Transformer& model) {
  const std::string path = ManifestOf(data);
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<Dataset> dataset,
                        Dataset::Open(path, /*verify_hashes=*/false));
  const lory::data::DatasetManifest& manifest = dataset->manifest();
  if (manifest.vocabulary_size != model.shape().vocabulary_size) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": a vocabulary of ", manifest.vocabulary_size,
                     ", the model's is ", model.shape().vocabulary_size,
                     "; give a dataset made with the model's tokenizer"));
  }
  if (manifest.sequence_length > model.shape().sequence_length) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": sequences of ", manifest.sequence_length,
        " tokens, the model reads ", model.shape().sequence_length,
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
