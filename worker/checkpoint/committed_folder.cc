#include "worker/checkpoint/committed_folder.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/absolute_path.h"
#include "common/io/storage.h"

namespace lory::checkpoint {
namespace {

namespace fs = std::filesystem;

// Why `folder`, which has no manifest, is no checkpoint.
absl::Status NoCheckpoint(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) {
    return absl::NotFoundError(absl::StrCat("no such folder: ", folder));
  }
  if (!fs::is_directory(folder, error)) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, " is a file; a checkpoint is a folder step-N.gen-G"));
  }
  if (fs::exists(folder + "/config.json", error)) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " is a Hugging Face model; make it a checkpoint ",
                     "with `lory-model import ", folder, " --to FOLDER`"));
  }
  if (fs::is_directory(folder + "/checkpoints", error)) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, " is a job's folder; give one of ", folder, "/checkpoints/*"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      folder, " has no ", kManifestFile,
      ": it is no checkpoint, or one that was never committed; `loryctl "
      "checkpoint list` names those that were"));
}

}  // namespace

absl::StatusOr<lory::data::CheckpointManifest> ReadCommittedFolder(
    const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kManifestFile);
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return NoCheckpoint(folder);
  LORY_ASSIGN_OR_RETURN(const std::string text,
                        lory::io::LocalStorage().Read(path));
  auto manifest = lory::data::ParseCheckpointManifest(text);
  if (!manifest.ok()) return Annotate(manifest.status(), path);
  LORY_ASSIGN_OR_RETURN(*manifest->checkpoint.mutable_folder(),
                        lory::io::AbsolutePath(folder));
  return manifest;
}

absl::Status ExplainUnreadable(const absl::Status& status,
                               const std::string& folder) {
  const absl::Status named = Annotate(status, folder);
  if (!absl::IsDataLoss(status) && !absl::IsNotFound(status)) return named;
  absl::Status explained(
      named.code(),
      absl::StrCat(named.message(),
                   "; copy the folder again from where it is whole, or take "
                   "another checkpoint, as `loryctl checkpoint list JOB` names "
                   "them"));
  named.ForEachPayload([&](absl::string_view type, const absl::Cord& value) {
    explained.SetPayload(type, value);
  });
  return explained;
}

bool IsOfDensePhase(const lory::data::CheckpointManifest& manifest,
                    const lory::config::ModelShape& shape) {
  return manifest.checkpoint.step() <
         lory::config::DenseStepCount(shape, manifest.spec.step_count());
}

}  // namespace lory::checkpoint
