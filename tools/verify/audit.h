#ifndef LORY_TOOLS_VERIFY_AUDIT_H_
#define LORY_TOOLS_VERIFY_AUDIT_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/verify/report.h"

// What lory-verify does: reads, checks every invariant, reports. Changes
// nothing. An error means that there was nothing to judge.
namespace lory::verify {

struct RunOptions {
  std::string state_folder;  // lory-coordinator's --state
  std::string job;           // jobs/tiny or tiny
  // lory-coordinator's --storage-root. Empty: found from a checkpoint that the
  // journal knows.
  std::string storage_root;
  // manifest.json of the dataset, if it is no longer where it was registered.
  std::string dataset_manifest;
};

absl::StatusOr<Report> AuditRun(const RunOptions& options);

// A checkpoint's folder, by its own manifest.
absl::StatusOr<Report> AuditCheckpoint(const std::string& folder);

// A dataset's folder: every shard's counts, sizes and hashes.
absl::StatusOr<Report> AuditDataset(const std::string& folder);

}  // namespace lory::verify

#endif  // LORY_TOOLS_VERIFY_AUDIT_H_
