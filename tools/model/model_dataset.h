#ifndef LORY_TOOLS_MODEL_MODEL_DATASET_H_
#define LORY_TOOLS_MODEL_MODEL_DATASET_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/config/model_shape.h"
#include "common/data/dataset.h"

// A dataset that a model is measured on.
namespace lory::surgery {

// manifest.json of a dataset that is named by its folder or by that file.
std::string ManifestOf(const std::string& data);

// Opens the dataset `data`, whose held-out text a model of `shape` can read
// that was trained with the tokenizer of that SHA-256 (empty: not known).
// Compares that text with the manifest's SHA-256 first: reads every byte of it.
//
// FAILED_PRECONDITION: vocabulary, tokenizer or length do not fit, or nothing
// is held out; says what mends it. DATA_LOSS: held-out text was altered.
// Others: as Dataset::Open.
absl::StatusOr<std::unique_ptr<lory::data::Dataset>> OpenHeldOut(
    const std::string& data, const lory::config::ModelShape& shape,
    const std::string& tokenizer_sha256);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_MODEL_DATASET_H_
