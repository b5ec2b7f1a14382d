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
#include "common/io/errno_status.h"
#include "common/io/storage.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;

absl::Status CheckTarget(const std::string& target,
                         const OutputOptions& options) {
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  if (!fs::exists(status)) return absl::OkStatus();
  if (!fs::is_directory(status)) {
    return absl::AlreadyExistsError(absl::StrCat(target, " is a file"));
  }
  if (fs::is_empty(target, error)) return absl::OkStatus();
  const bool earlier = fs::exists(fs::path(target) / options.marker, error);
  if (options.force && earlier) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      target, " is there and not empty; ",
      earlier ? "--force replaces it"
              : absl::StrCat("it has no ", options.marker,
                             ", so not even --force replaces it")));
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

absl::StatusOr<std::unique_ptr<OutputFolder>> OutputFolder::Begin(
    const std::string& target, const OutputOptions& options) {
  LORY_RETURN_IF_ERROR(CheckTarget(target, options));
  fs::path whole = fs::absolute(target).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();  // "out/"
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
  return absl::WrapUnique(new OutputFolder(whole.string(), temporary));
}

OutputFolder::~OutputFolder() {
  std::error_code error;
  fs::remove_all(temporary_, error);
}

absl::Status OutputFolder::Commit(const std::string& inner) {
  const std::string from =
      inner.empty() ? temporary_ : absl::StrCat(temporary_, "/", inner);
  LORY_RETURN_IF_ERROR(SyncFolder(from));
  std::error_code error;
  // What was there is then under the temporary name and goes with it.
  const bool exchange =
      fs::exists(target_, error) && !fs::is_empty(target_, error);
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, target_.c_str(),
                  exchange ? RENAME_EXCHANGE : 0) != 0) {
    return lory::io::ErrnoStatus(errno, absl::StrCat("renaming to ", target_));
  }
  return SyncFolder(fs::path(target_).parent_path().string());
}

}  // namespace lory::surgery
