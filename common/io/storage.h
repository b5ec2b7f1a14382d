#ifndef LORY_COMMON_IO_STORAGE_H_
#define LORY_COMMON_IO_STORAGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The file system as this project uses it: whole files that appear at once or
// not at all. A POSIX directory today, object stores later, a faulty double in
// tests.
namespace lory::io {

// Files under way begin with this. List leaves them out, so that what a crash
// left behind is never taken for a file; whoever owns a folder may remove it.
inline constexpr char kTemporaryPrefix[] = ".lory-tmp-";

// A file being written under a temporary name. Thread-compatible. Destroying
// it before Commit removes what was written.
class FileWriter {
 public:
  virtual ~FileWriter() = default;

  // RESOURCE_EXHAUSTED: disk full. Otherwise the operating system's error.
  // After an error only destruction is allowed.
  virtual absl::Status Append(absl::string_view bytes) = 0;

  // Syncs the file, renames it into place and syncs the folder. A failed sync
  // is final and never retried: the kernel may have dropped the pages.
  virtual absl::Status Commit() = 0;
};

// Thread-safe. Paths are absolute. Errors: NOT_FOUND, PERMISSION_DENIED,
// RESOURCE_EXHAUSTED (disk full), otherwise INTERNAL with errno's text; each
// names the path.
class Storage {
 public:
  virtual ~Storage() = default;

  virtual absl::StatusOr<std::string> Read(const std::string& path) = 0;

  // Starts a file that becomes `path` on Commit, replacing what was there.
  // Makes missing folders.
  virtual absl::StatusOr<std::unique_ptr<FileWriter>> Create(
      const std::string& path) = 0;

  // Create, Append, Commit.
  absl::Status Write(const std::string& path, absl::string_view bytes);

  // Names in a folder, sorted; a missing folder is empty.
  virtual absl::StatusOr<std::vector<std::string>> List(
      const std::string& folder) = 0;

  virtual absl::StatusOr<int64_t> Size(const std::string& path) = 0;

  // SHA-256 of the file's bytes in hex, read in pieces of at most 1 MiB;
  // `progress`, if any, is called after each. CANCELLED: `stop` came before
  // the end.
  virtual absl::StatusOr<std::string> Sha256Hex(
      const std::string& path, const std::stop_token& stop,
      const std::function<void()>& progress) = 0;

  // Removes a file or a folder with all it holds; one already gone is fine.
  virtual absl::Status Remove(const std::string& path) = 0;
};

// The machine's own file systems. Lives for ever.
Storage& LocalStorage();

// Sha256Hex of a file of this machine.
absl::StatusOr<std::string> FileSha256Hex(
    const std::string& path, const std::stop_token& stop = {},
    const std::function<void()>& progress = nullptr);

// `path` made absolute, free of `..` and links, if it then lies beneath one of
// `roots`; resolved by the kernel (openat2, RESOLVE_BENEATH), not by text.
// PERMISSION_DENIED: outside all roots. NOT_FOUND: nothing there.
absl::StatusOr<std::string> ResolveBeneath(
    const std::string& path, const std::vector<std::string>& roots);

}  // namespace lory::io

#endif  // LORY_COMMON_IO_STORAGE_H_
