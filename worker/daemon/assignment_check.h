#ifndef LORY_WORKER_DAEMON_ASSIGNMENT_CHECK_H_
#define LORY_WORKER_DAEMON_ASSIGNMENT_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lory/v1/worker.pb.h"

namespace lory::daemon {

// Folders that jobs may touch on this host.
struct AllowedRoots {
  std::vector<std::string> data;     // datasets
  std::vector<std::string> storage;  // job folders
};

// Whether the paths in an assignment lie where this host lets jobs read and
// write. A job folder need not be there yet: then the nearest folder above it
// counts.
//
// INVALID_ARGUMENT: no valid job name. PERMISSION_DENIED: a path lies
// elsewhere. NOT_FOUND: no dataset there. Each names the path and what mends
// it.
absl::Status CheckAssignment(const lory::v1::Assignment& assignment,
                             const AllowedRoots& roots);

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_ASSIGNMENT_CHECK_H_
