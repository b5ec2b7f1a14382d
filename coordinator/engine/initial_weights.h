#ifndef LORY_COORDINATOR_ENGINE_INITIAL_WEIGHTS_H_
#define LORY_COORDINATOR_ENGINE_INITIAL_WEIGHTS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/checkpoint_manifest.h"
#include "common/io/storage.h"
#include "lory/v1/checkpoint.pb.h"
#include "lory/v1/job.pb.h"

// The checkpoint that a job begins from in place of random weights.
namespace lory::coordinator {

// The manifest in a checkpoint's folder; its checkpoint names the folder.
// Reads the disk.
//
// NOT_FOUND, INVALID_ARGUMENT: there is none; says what would be one.
absl::StatusOr<data::CheckpointManifest> ReadInitialWeights(
    io::Storage& storage, const std::string& folder);

// Gives `spec` the checkpoint's model if it has none, and takes away the dense
// phase, which the weights have behind them. What an imported model's folder
// said of its tokens (config::KeepGenerationLabels) stays with the weights.
//
// INVALID_ARGUMENT, violations: the model has other parameters than the
// checkpoint; names the first that differs.
absl::Status BeginFrom(const data::CheckpointManifest& initial,
                       lory::v1::JobSpec& spec);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_ENGINE_INITIAL_WEIGHTS_H_
