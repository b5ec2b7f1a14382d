#include "worker/daemon/assignment_check.h"

#include <filesystem>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "worker/daemon/trainer_log.h"

namespace lory::daemon {
namespace {

absl::Status Outside(const std::string& what, const std::string& path,
                     const std::vector<std::string>& roots,
                     const std::string& flag) {
  return absl::PermissionDeniedError(absl::StrCat(
      what, " ", path, " is not beneath this worker's ", flag, " (",
      absl::StrJoin(roots, ", "), "); start lory-worker with another ", flag,
      " or move it there"));
}

absl::Status CheckDataset(const lory::v1::Assignment& assignment,
                          const AllowedRoots& roots) {
  const std::string& path = assignment.dataset_manifest_path();
  const absl::StatusOr<std::string> resolved =
      io::ResolveBeneath(path, roots.data);
  if (resolved.ok()) return absl::OkStatus();
  if (absl::IsNotFound(resolved.status())) {
    const std::string& name = assignment.spec().dataset();
    return absl::NotFoundError(absl::StrCat(
        "the dataset ", path,
        " is not there; it must have the same path on every worker's host. If "
        "it was moved, tell where to with `loryctl dataset register ",
        absl::StripPrefix(name, "datasets/"),
        " NEW_FOLDER/manifest.json`, then `loryctl job resume ",
        JobIdOf(assignment.job()), "`"));
  }
  return Outside("the dataset", path, roots.data, "--data-root");
}

absl::Status CheckJobFolder(const std::string& path,
                            const AllowedRoots& roots) {
  std::filesystem::path folder(path);
  const bool plain =
      folder.is_absolute() && folder == folder.lexically_normal();
  while (plain) {
    const absl::StatusOr<std::string> resolved =
        io::ResolveBeneath(folder.string(), roots.storage);
    if (resolved.ok()) return absl::OkStatus();
    if (!absl::IsNotFound(resolved.status()) || !folder.has_relative_path()) {
      break;
    }
    folder = folder.parent_path();
  }
  return Outside("the job folder", path, roots.storage, "--storage-root");
}

absl::Status CheckInitialCheckpoint(const std::string& folder,
                                    const AllowedRoots& roots) {
  std::vector<std::string> all = roots.data;
  all.insert(all.end(), roots.storage.begin(), roots.storage.end());
  const absl::StatusOr<std::string> resolved = io::ResolveBeneath(folder, all);
  if (resolved.ok()) return absl::OkStatus();
  if (absl::IsNotFound(resolved.status())) {
    return absl::NotFoundError(absl::StrCat(
        "the checkpoint ", folder,
        " that the job begins from is not there; it must have the same path on "
        "every worker's host"));
  }
  return Outside("the checkpoint that the job begins from", folder, all,
                 "--data-root or --storage-root");
}

}  // namespace

absl::Status CheckAssignment(const lory::v1::Assignment& assignment,
                             const AllowedRoots& roots) {
  if (JobIdOf(assignment.job()).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", assignment.job(), "' is not a job's name"));
  }
  LORY_RETURN_IF_ERROR(CheckDataset(assignment, roots));
  if (assignment.has_initial_checkpoint()) {
    LORY_RETURN_IF_ERROR(CheckInitialCheckpoint(
        assignment.initial_checkpoint().folder(), roots));
  }
  return CheckJobFolder(assignment.job_folder(), roots);
}

}  // namespace lory::daemon
