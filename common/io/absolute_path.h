#ifndef LORY_COMMON_IO_ABSOLUTE_PATH_H_
#define LORY_COMMON_IO_ABSOLUTE_PATH_H_

#include <string>

#include "absl/status/statusor.h"

namespace lory::io {

// `path` from the root on, without "." and ".."; links stay. What
// std::filesystem::absolute throws is an error here: INVALID_ARGUMENT: the
// path is empty. Otherwise as ErrnoStatus.
absl::StatusOr<std::string> AbsolutePath(const std::string& path);

}  // namespace lory::io

#endif  // LORY_COMMON_IO_ABSOLUTE_PATH_H_
