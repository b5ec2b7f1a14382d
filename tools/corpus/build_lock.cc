#include "tools/corpus/build_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/io/errno_status.h"

namespace lory::corpus {

absl::StatusOr<std::unique_ptr<BuildLock>> BuildLock::Take(
    const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return io::ErrnoStatus(error.value(), absl::StrCat("making ", folder));
  }
  const std::string path = absl::StrCat(folder, "/", kLockFile);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return io::ErrnoStatus(errno, absl::StrCat("opening ", path));
  std::unique_ptr<BuildLock> lock(new BuildLock(fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return io::ErrnoStatus(errno, absl::StrCat("locking ", path));
    }
    std::string holder(32, '\0');
    const ssize_t size = ::pread(fd, holder.data(), holder.size(), 0);
    holder.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return absl::FailedPreconditionError(absl::StrCat(
        "another lory-corpus (process ", absl::StripAsciiWhitespace(holder),
        ") is building into ", folder, ": wait for it or stop it"));
  }
  const std::string self = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, self.data(), self.size(), 0) < 0) {
    return io::ErrnoStatus(errno, absl::StrCat("writing ", path));
  }
  return lock;
}

BuildLock::~BuildLock() { ::close(fd_); }

}  // namespace lory::corpus
