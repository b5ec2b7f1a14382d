#ifndef LORY_WORKER_DAEMON_WORK_FOLDER_H_
#define LORY_WORKER_DAEMON_WORK_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace lory::daemon {

// A daemon's own folder: logs, and a place for the trainers' socket that
// nobody else can enter. Held by one daemon at a time.
class WorkFolder {
 public:
  // Makes what is missing.
  //
  // FAILED_PRECONDITION: another living daemon has it. Otherwise the operating
  // system's error.
  static absl::StatusOr<std::unique_ptr<WorkFolder>> Open(
      const std::string& path);
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  std::string log_folder() const { return path_ + "/logs"; }
  // unix:path; paths of sockets must be short, so it may lie elsewhere.
  std::string socket_address() const;

 private:
  WorkFolder() = default;

  absl::Status MakeSocketFolder();

  std::string path_;
  std::string socket_folder_;
  bool socket_folder_is_temporary_ = false;
  int lock_fd_ = -1;
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_WORK_FOLDER_H_
