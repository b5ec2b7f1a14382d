#include "worker/daemon/work_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace lory::daemon {
namespace {

constexpr size_t kMaxSocketPathBytes = 100;  // sun_path has 108
constexpr char kSocketName[] = "/trainers.sock";

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cannot make the folder ", path, ": ", error.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkFolder>> WorkFolder::Open(
    const std::string& path) {
  auto folder = absl::WrapUnique(new WorkFolder);
  folder->path_ = std::filesystem::absolute(path).lexically_normal().string();
  LORY_RETURN_IF_ERROR(MakeFolder(folder->log_folder()));
  const std::string lock_path = folder->path_ + "/lock";
  folder->lock_fd_ =
      ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (folder->lock_fd_ < 0) {
    return absl::InternalError(
        absl::StrCat("cannot open ", lock_path, ": ", std::strerror(errno)));
  }
  if (::flock(folder->lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("another lory-worker uses ", folder->path_,
                     "; give each its own --work"));
  }
  LORY_RETURN_IF_ERROR(folder->MakeSocketFolder());
  return folder;
}

absl::Status WorkFolder::MakeSocketFolder() {
  socket_folder_ = path_ + "/run";
  if (socket_folder_.size() + sizeof(kSocketName) > kMaxSocketPathBytes) {
    std::string pattern = "/tmp/lory-worker-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
      return absl::InternalError(
          absl::StrCat("cannot make a folder in /tmp: ", std::strerror(errno)));
    }
    socket_folder_ = pattern;
    socket_folder_is_temporary_ = true;
  }
  LORY_RETURN_IF_ERROR(MakeFolder(socket_folder_));
  if (::chmod(socket_folder_.c_str(), 0700) != 0) {
    return absl::InternalError(absl::StrCat(
        "cannot close ", socket_folder_, " to others: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

WorkFolder::~WorkFolder() {
  std::error_code ignored;
  if (socket_folder_is_temporary_) {
    std::filesystem::remove_all(socket_folder_, ignored);
  }
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

std::string WorkFolder::socket_address() const {
  return absl::StrCat("unix:", socket_folder_, kSocketName);
}

}  // namespace lory::daemon
