#ifndef LORY_WORKER_CHECKPOINT_COMMITTED_FOLDER_H_
#define LORY_WORKER_CHECKPOINT_COMMITTED_FOLDER_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/config/model_shape.h"
#include "common/data/checkpoint_manifest.h"

// A checkpoint's folder read without the service: docs/formats.md.
namespace lory::checkpoint {

inline constexpr char kManifestFile[] = "manifest.json";

// The manifest in a folder `step-N.gen-G`; its checkpoint names the folder by
// an absolute path, as CheckpointReader takes it. The parts are not looked at.
//
// NOT_FOUND: no such folder. INVALID_ARGUMENT: it is no checkpoint; says what
// it is instead, and what makes it one.
absl::StatusOr<lory::data::CheckpointManifest> ReadCommittedFolder(
    const std::string& folder);

// What reading the parts of the checkpoint in `folder` gave, with the folder's
// name; where parts are damaged or gone, with what is to be done.
absl::Status ExplainUnreadable(const absl::Status& status,
                               const std::string& folder);

// Whether it is of a job's dense phase: its model is the dense one.
bool IsOfDensePhase(const lory::data::CheckpointManifest& manifest,
                    const lory::config::ModelShape& shape);

}  // namespace lory::checkpoint

#endif  // LORY_WORKER_CHECKPOINT_COMMITTED_FOLDER_H_
