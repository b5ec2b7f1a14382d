#ifndef LORY_COMMON_IO_ERRNO_STATUS_H_
#define LORY_COMMON_IO_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace lory::io {

// errno of a call that failed as a status: NOT_FOUND, PERMISSION_DENIED,
// RESOURCE_EXHAUSTED (disk or quota full), otherwise INTERNAL. `what` says
// what was tried, on which path: "opening /data/x".
absl::Status ErrnoStatus(int error, absl::string_view what);

}  // namespace lory::io

#endif  // LORY_COMMON_IO_ERRNO_STATUS_H_
