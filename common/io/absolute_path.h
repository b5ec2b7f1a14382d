#ifndef LORY_COMMON_IO_ABSOLUTE_PATH_H_
#define LORY_COMMON_IO_ABSOLUTE_PATH_H_

#include <string>

#include "absl/status/statusor.h"

namespace lory::io {

// `path` from the root on, without "." and ".."; links stay. What
// std::filesystem::absolute throws is an error here: INVALID_ARGUMENT: the
// path is empty. Otherwise as ErrnoStatus.
absl::StatusOr<std::string> AbsolutePath(const std::string& path);

// The folder that `flag` names, from the root on and without links. It is not
// made when it is missing: a misspelt name, or a share that is not mounted,
// would put files where nobody looks for them. FAILED_PRECONDITION: it is not
// there, or no folder; names the flag and what mends it. Otherwise as
// ErrnoStatus.
absl::StatusOr<std::string> ExistingFolder(const std::string& flag,
                                           const std::string& path);

// The same, where files are to be made. FAILED_PRECONDITION: this process may
// not make any.
absl::StatusOr<std::string> WritableFolder(const std::string& flag,
                                           const std::string& path);

}  // namespace lory::io

#endif  // LORY_COMMON_IO_ABSOLUTE_PATH_H_
