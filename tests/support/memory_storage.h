#ifndef LORY_TESTS_SUPPORT_MEMORY_STORAGE_H_
#define LORY_TESTS_SUPPORT_MEMORY_STORAGE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/io/storage.h"

namespace lory::testing {

// Files in memory: fast, and gone with the test. Folders are what paths say.
// Thread-safe.
class MemoryStorage final : public io::Storage {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<io::FileWriter>> Create(
      const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(
      const std::string& folder) override;
  absl::StatusOr<int64_t> Size(const std::string& path) override;
  absl::StatusOr<std::string> Sha256Hex(
      const std::string& path, const std::stop_token& stop,
      const std::function<void()>& progress) override;
  absl::Status Remove(const std::string& path) override;

  // From now on, until OK is given, reads of paths that contain `piece` fail
  // with `status`.
  void FailReadsOf(std::string piece, absl::Status status);
  // From now on, until "" is given, writes of paths that contain `piece` fail
  // with RESOURCE_EXHAUSTED.
  void FillDiskFor(std::string piece);
  // Before the next file whose path contains `piece` appears, `act` runs: what
  // happens while a slow disk writes it. It may use this storage.
  void OnNextWrite(std::string piece, std::function<void()> act);
  // The same before the next removal of a path that contains `piece`.
  void OnNextRemove(std::string piece, std::function<void()> act);
  size_t file_count();

 private:
  friend class MemoryFileWriter;

  struct Hook {
    std::string piece;
    std::function<void()> act;
  };
  // Runs what a hook asks for, if `path` is meant; once.
  void Run(Hook& hook, const std::string& path);

  Mutex mutex_;
  std::map<std::string, std::string> files_ ABSL_GUARDED_BY(mutex_);
  std::string full_ ABSL_GUARDED_BY(mutex_);
  std::string unreadable_ ABSL_GUARDED_BY(mutex_);
  absl::Status read_failure_ ABSL_GUARDED_BY(mutex_);
  // Each is reached under the lock.
  Hook on_write_, on_remove_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_MEMORY_STORAGE_H_
