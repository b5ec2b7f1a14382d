#include "common/io/storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/io/errno_status.h"

namespace lory::io {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBufferBytes = 1 << 18;
constexpr size_t kReadBytes = 1 << 20;

// The folder a path lies in; of a bare name the working directory.
fs::path FolderOf(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

absl::Status SyncFolder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("opening ", folder));
  const absl::Cleanup close_fd = [fd] { ::close(fd); };
  if (::fsync(fd) != 0) {
    return ErrnoStatus(errno, absl::StrCat("syncing folder ", folder));
  }
  return absl::OkStatus();
}

// mkdir -p. Every folder made is synced into its parent, or a crash could
// take a committed file away with its folder.
absl::Status MakeFolders(const fs::path& folder) {
  struct stat info;
  if (::stat(folder.c_str(), &info) == 0) return absl::OkStatus();
  if (FolderOf(folder) != folder) {
    LORY_RETURN_IF_ERROR(MakeFolders(FolderOf(folder)));
  }
  if (::mkdir(folder.c_str(), 0777) != 0) {
    if (errno == EEXIST) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("making folder ", folder.string()));
  }
  return SyncFolder(FolderOf(folder).string());
}

absl::Status WriteFully(int fd, absl::string_view bytes,
                        const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("writing ", path));
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

class LocalFileWriter final : public FileWriter {
 public:
  LocalFileWriter(int fd, std::string temporary, std::string path)
      : fd_(fd), temporary_(std::move(temporary)), path_(std::move(path)) {}

  ~LocalFileWriter() override {
    if (fd_ >= 0) ::close(fd_);
    if (!committed_) ::unlink(temporary_.c_str());
  }

  absl::Status Append(absl::string_view bytes) override {
    if (buffer_.size() + bytes.size() < kBufferBytes) {
      buffer_.append(bytes.data(), bytes.size());
      return absl::OkStatus();
    }
    LORY_RETURN_IF_ERROR(Flush());
    return WriteFully(fd_, bytes, path_);
  }

  absl::Status Commit() override {
    LORY_RETURN_IF_ERROR(Flush());
    if (::fsync(fd_) != 0) {
      return ErrnoStatus(errno, absl::StrCat("syncing ", path_));
    }
    // Network file systems report a full disk as late as this.
    if (::close(std::exchange(fd_, -1)) != 0) {
      return ErrnoStatus(errno, absl::StrCat("closing ", path_));
    }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      return ErrnoStatus(errno, absl::StrCat("renaming to ", path_));
    }
    committed_ = true;
    return SyncFolder(FolderOf(path_).string());
  }

 private:
  absl::Status Flush() {
    LORY_RETURN_IF_ERROR(WriteFully(fd_, buffer_, path_));
    buffer_.clear();
    return absl::OkStatus();
  }

  int fd_;
  bool committed_ = false;
  const std::string temporary_;
  const std::string path_;
  std::string buffer_;
};

// Calls `use` with the pieces of the file in order. Pipes and devices are
// refused: reading one might never end.
template <typename Use>
absl::Status ReadPieces(const std::string& path, const Use& use) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("opening ", path));
  const absl::Cleanup close_fd = [fd] { ::close(fd); };
  struct stat info;
  if (::fstat(fd, &info) == 0 && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is no regular file"));
  }
  std::string buffer(kReadBytes, '\0');
  while (true) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("reading ", path));
    }
    if (count == 0) return absl::OkStatus();
    LORY_RETURN_IF_ERROR(
        use(absl::string_view(buffer.data(), static_cast<size_t>(count))));
  }
}

class PosixStorage final : public Storage {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) override {
    std::string bytes;
    LORY_RETURN_IF_ERROR(ReadPieces(path, [&](absl::string_view piece) {
      bytes.append(piece.data(), piece.size());
      return absl::OkStatus();
    }));
    return bytes;
  }

  absl::StatusOr<std::unique_ptr<FileWriter>> Create(
      const std::string& path) override {
    const fs::path folder = FolderOf(path);
    LORY_RETURN_IF_ERROR(MakeFolders(folder));
    // Random, so that two writers of one path do not write into each other.
    std::string temporary =
        (folder / absl::StrCat(kTemporaryPrefix, SecureRandomHex(8))).string();
    const int fd = ::open(temporary.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return ErrnoStatus(errno, absl::StrCat("creating ", path));
    return std::make_unique<LocalFileWriter>(fd, std::move(temporary), path);
  }

  absl::StatusOr<std::vector<std::string>> List(
      const std::string& folder) override {
    std::vector<std::string> names;
    std::error_code error;
    fs::directory_iterator entries(folder, error);
    if (error == std::errc::no_such_file_or_directory) return names;
    for (; !error && entries != fs::directory_iterator();
         entries.increment(error)) {
      std::string name = entries->path().filename().string();
      if (!absl::StartsWith(name, kTemporaryPrefix)) {
        names.push_back(std::move(name));
      }
    }
    if (error) {
      return ErrnoStatus(error.value(), absl::StrCat("listing ", folder));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::StatusOr<int64_t> Size(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) {
      return ErrnoStatus(errno, absl::StrCat("looking at ", path));
    }
    return info.st_size;
  }

  absl::StatusOr<std::string> Sha256Hex(
      const std::string& path, const std::stop_token& stop,
      const std::function<void()>& progress) override {
    Sha256 hash;
    LORY_RETURN_IF_ERROR(ReadPieces(path, [&](absl::string_view piece) {
      hash.Update(piece);
      if (progress != nullptr) progress();
      return stop.stop_requested()
                 ? absl::CancelledError(absl::StrCat("hashing ", path))
                 : absl::OkStatus();
    }));
    return absl::BytesToHexString(hash.Finish());
  }

  absl::Status Remove(const std::string& path) override {
    std::error_code error;
    fs::remove_all(path, error);
    if (error && error != std::errc::no_such_file_or_directory &&
        error != std::errc::not_a_directory) {
      return ErrnoStatus(error.value(), absl::StrCat("removing ", path));
    }
    return absl::OkStatus();
  }
};

}  // namespace

absl::Status Storage::Write(const std::string& path, absl::string_view bytes) {
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<FileWriter> writer, Create(path));
  LORY_RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Commit();
}

Storage& LocalStorage() {
  static PosixStorage* const storage = new PosixStorage;
  return *storage;
}

absl::StatusOr<std::string> FileSha256Hex(
    const std::string& path, const std::stop_token& stop,
    const std::function<void()>& progress) {
  return LocalStorage().Sha256Hex(path, stop, progress);
}

}  // namespace lory::io
