#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <filesystem>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/io/errno_status.h"
#include "common/io/storage.h"

namespace lory::io {
namespace {

// The kernel asks for another try when something moved during the walk.
constexpr int kTries = 16;

absl::StatusOr<std::string> PathOfDescriptor(int fd) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(),
                                  target.data(), target.size());
  if (size < 0) return ErrnoStatus(errno, "reading /proc/self/fd");
  target.resize(static_cast<size_t>(size));
  return target;
}

// What is left of an absolute `path` under `root`; none: it is not spelled
// that way. Only a first sieve: the kernel decides.
std::optional<std::string> Below(absl::string_view path,
                                 absl::string_view root) {
  absl::ConsumeSuffix(&root, "/");
  if (!absl::ConsumePrefix(&path, root)) return std::nullopt;
  if (!path.empty() && path.front() != '/') return std::nullopt;
  while (absl::ConsumePrefix(&path, "/")) {
  }
  return path.empty() ? "." : std::string(path);
}

absl::StatusOr<std::string> ResolveIn(const std::string& path,
                                      const std::string& root) {
  const absl::Status outside = absl::PermissionDeniedError("outside");
  const int root_fd = ::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root_fd < 0) return ErrnoStatus(errno, absl::StrCat("opening ", root));
  const absl::Cleanup close_root = [root_fd] { ::close(root_fd); };

  std::optional<std::string> relative = path;
  if (absl::StartsWith(path, "/")) {
    relative = Below(path, root);
    if (!relative) {
      // The root may itself be reached through a link.
      absl::StatusOr<std::string> real_root = PathOfDescriptor(root_fd);
      if (!real_root.ok()) return real_root;
      relative = Below(path, *real_root);
    }
    if (!relative) return outside;
  }

  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int i = 0; i < kTries && fd < 0 && (i == 0 || errno == EAGAIN); ++i) {
    fd = ::syscall(SYS_openat2, root_fd, relative->c_str(), &how, sizeof(how));
  }
  if (fd < 0) {
    if (errno == EXDEV) return outside;
    return ErrnoStatus(errno, absl::StrCat("resolving ", path));
  }
  const absl::Cleanup close_fd = [fd] { ::close(static_cast<int>(fd)); };
  return PathOfDescriptor(static_cast<int>(fd));
}

}  // namespace

absl::StatusOr<std::string> ResolveBeneath(
    const std::string& path, const std::vector<std::string>& roots) {
  absl::Status failure = absl::PermissionDeniedError(
      absl::StrCat(path, " is not beneath ", absl::StrJoin(roots, ", ")));
  // A string with a zero byte would reach the kernel shortened.
  if (path.empty() || absl::StrContains(path, '\0')) return failure;
  for (const std::string& root : roots) {
    absl::StatusOr<std::string> resolved = ResolveIn(path, root);
    if (resolved.ok()) return resolved;
    if (!absl::IsPermissionDenied(resolved.status())) {
      failure = resolved.status();
    }
  }
  return failure;
}

}  // namespace lory::io
