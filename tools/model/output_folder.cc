#include "tools/model/output_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/io/absolute_path.h"
#include "common/io/errno_status.h"
#include "common/io/storage.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;

// "out" of "out/".
fs::path WithoutSlash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

// The absolute path that `path` leads to; of what is not there, where it would
// be.
absl::StatusOr<fs::path> WithoutLinks(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string absolute,
                        lory::io::AbsolutePath(path));
  std::error_code error;
  fs::path whole = fs::weakly_canonical(absolute, error);
  if (!error) return whole;
  return lory::io::ErrnoStatus(error.value(), absl::StrCat("finding ", path));
}

absl::Status CheckTarget(const std::string& target,
                         const OutputOptions& options) {
  std::error_code error;
  const fs::path bare = WithoutSlash(target);
  if (fs::is_symlink(fs::symlink_status(bare, error))) {
    return absl::AlreadyExistsError(absl::StrCat(
        target,
        " is a link, which a folder would replace; give what it points "
        "to, ",
        fs::read_symlink(bare, error).string()));
  }
  const fs::file_status status = fs::status(target, error);
  if (!fs::exists(status)) return absl::OkStatus();
  if (!fs::is_directory(status)) {
    return absl::AlreadyExistsError(absl::StrCat(target, " is a file"));
  }
  if (fs::is_empty(target, error)) return absl::OkStatus();
  const absl::Status earlier = options.check_earlier(target);
  if (options.force && earlier.ok()) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      target, " is there and not empty; ",
      earlier.ok() ? "--force replaces it"
                   : absl::StrCat(earlier.message(),
                                  ", so not even --force replaces it")));
}

// Whether there is something to lose.
bool IsFilled(const std::string& target) {
  std::error_code error;
  return fs::exists(target, error) && !fs::is_empty(target, error);
}

absl::Status SyncFolder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return lory::io::ErrnoStatus(errno, absl::StrCat("opening ", folder));
  }
  const absl::Cleanup close_fd = [fd] { ::close(fd); };
  if (::fsync(fd) == 0) return absl::OkStatus();
  return lory::io::ErrnoStatus(errno, absl::StrCat("syncing ", folder));
}

}  // namespace

absl::Status OnlyFiles(const std::string& folder,
                       const std::set<std::string>& names) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (names.contains(name) && !at->is_directory(error)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("it holds ", name, ", which lory-model did not write"));
  }
  if (!error) return absl::OkStatus();
  return lory::io::ErrnoStatus(error.value(), absl::StrCat("reading ", folder));
}

absl::Status CheckOutsideOf(const std::string& source,
                            const std::string& target) {
  LORY_ASSIGN_OR_RETURN(const fs::path from, WithoutLinks(source));
  LORY_ASSIGN_OR_RETURN(fs::path to, WithoutLinks(target));
  for (; to != to.parent_path(); to = to.parent_path()) {
    if (to != from) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--to ", target, " is, or lies in, the folder that is read, ", source,
        "; give another"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<OutputFolder>> OutputFolder::Begin(
    const std::string& target, const OutputOptions& options) {
  LORY_ASSIGN_OR_RETURN(const std::string absolute,
                        lory::io::AbsolutePath(target));
  LORY_RETURN_IF_ERROR(CheckTarget(absolute, options));
  const fs::path whole = WithoutSlash(absolute);
  const std::string temporary =
      (whole.parent_path() /
       absl::StrCat(lory::io::kTemporaryPrefix, SecureRandomHex(8)))
          .string();
  std::error_code error;
  fs::create_directories(temporary, error);
  if (error) {
    return lory::io::ErrnoStatus(error.value(),
                                 absl::StrCat("making ", temporary));
  }
  return absl::WrapUnique(new OutputFolder(whole.string(), temporary, options));
}

OutputFolder::~OutputFolder() {
  std::error_code error;
  fs::remove_all(temporary_, error);
}

absl::Status OutputFolder::Commit(const std::string& inner) {
  const std::string from =
      inner.empty() ? temporary_ : absl::StrCat(temporary_, "/", inner);
  LORY_RETURN_IF_ERROR(SyncFolder(from));
  // What was there is then under the temporary name and goes with it. Without
  // exchange only an empty folder gives way: rename refuses all others.
  const bool exchange = IsFilled(target_);
  if (exchange) LORY_RETURN_IF_ERROR(CheckTarget(target_, options_));
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, target_.c_str(),
                  exchange ? RENAME_EXCHANGE : 0) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST) {
      return absl::AlreadyExistsError(
          absl::StrCat(target_, " was filled by somebody else meanwhile"));
    }
    return lory::io::ErrnoStatus(errno, absl::StrCat("renaming to ", target_));
  }
  return SyncFolder(fs::path(target_).parent_path().string());
}

}  // namespace lory::surgery
