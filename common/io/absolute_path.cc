#include "common/io/absolute_path.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/errno_status.h"

namespace lory::io {

absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("the path is empty");
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("finding ", path));
  return whole.lexically_normal().string();
}

absl::StatusOr<std::string> ExistingFolder(const std::string& flag,
                                           const std::string& path) {
  if (path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": names no folder"));
  }
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::canonical(path, error);
  if (error == std::errc::no_such_file_or_directory) {
    return absl::FailedPreconditionError(
        absl::StrCat(flag, ": there is no folder ", path,
                     "; mount it, or make it with `mkdir -p ", path, "`"));
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat(flag, ": ", path));
  if (!std::filesystem::is_directory(whole, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(flag, ": ", path, " is no folder; name another"));
  }
  return whole.string();
}

absl::StatusOr<std::string> WritableFolder(const std::string& flag,
                                           const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string whole, ExistingFolder(flag, path));
  if (::faccessat(AT_FDCWD, whole.c_str(), W_OK | X_OK, AT_EACCESS) == 0) {
    return whole;
  }
  const int error = errno;
  const absl::Status why = ErrnoStatus(
      error, absl::StrCat(path, " cannot be written by user ", ::geteuid()));
  return absl::FailedPreconditionError(absl::StrCat(
      flag, ": ", why.message(),
      error == EACCES ? "; give it to that user with `chown`, or start as "
                        "another"
                      : ""));
}

}  // namespace lory::io
