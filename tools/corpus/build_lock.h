#ifndef LORY_TOOLS_CORPUS_BUILD_LOCK_H_
#define LORY_TOOLS_CORPUS_BUILD_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace lory::corpus {

// In the folder; holds the number of the last process that built there.
inline constexpr char kLockFile[] = ".lock";

// Keeps a second build out of a folder. The kernel lets go of it when the
// process ends, however it ends. Thread-compatible.
class BuildLock {
 public:
  // Makes the folder if need be. FAILED_PRECONDITION: another process builds
  // there; names its process id.
  static absl::StatusOr<std::unique_ptr<BuildLock>> Take(
      const std::string& folder);
  ~BuildLock();
  BuildLock(const BuildLock&) = delete;
  BuildLock& operator=(const BuildLock&) = delete;

 private:
  explicit BuildLock(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_BUILD_LOCK_H_
