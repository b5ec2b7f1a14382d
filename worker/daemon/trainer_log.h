#ifndef LORY_WORKER_DAEMON_TRAINER_LOG_H_
#define LORY_WORKER_DAEMON_TRAINER_LOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// What trainers print, kept in <folder>/<job>-<slot>.log; when that is full it
// becomes <job>-<slot>.log.1 and replaces the one before.
namespace lory::daemon {

// "tiny" of "jobs/tiny", if that is a job's name; else empty. Such a name can
// be part of a path.
std::string JobIdOf(absl::string_view job);

// Path of the log of one slot of `job`, a valid name.
std::string LogPath(const std::string& folder, absl::string_view job,
                    int32_t slot);

// Writes one log. Thread-compatible; one writer a file.
class TrainerLog {
 public:
  // Appends to what is there. A log that cannot be written is noted in our
  // own log and otherwise does no harm: training goes on.
  TrainerLog(std::string path, int64_t limit_bytes);
  ~TrainerLog();
  TrainerLog(const TrainerLog&) = delete;
  TrainerLog& operator=(const TrainerLog&) = delete;

  void Append(absl::string_view text);

  // The last line that says anything, shortened: how a process ended is often
  // in it.
  const std::string& last_line() const { return last_line_; }

 private:
  void Open();
  void Rotate();
  void RememberLine(absl::string_view text);

  const std::string path_;
  const int64_t limit_bytes_;
  int fd_ = -1;
  int64_t size_bytes_ = 0;
  bool at_line_start_ = true;
  std::string line_;  // begun, not ended yet
  std::string last_line_;
};

// Follows one log while it grows, across its rotation. Thread-compatible.
class TrainerLogReader {
 public:
  // Begins `tail_lines` before the end; 0: with the oldest line that is kept.
  TrainerLogReader(std::string path, int64_t tail_lines);
  ~TrainerLogReader();
  TrainerLogReader(const TrainerLogReader&) = delete;
  TrainerLogReader& operator=(const TrainerLogReader&) = delete;

  // Whole lines that were added since the last call, at most about 64 KiB;
  // empty: none. A last line without its newline waits until it has one.
  std::string Next();

 private:
  std::string ReadSome();

  const std::string path_;
  std::string backlog_;  // of the rotated file, to be given first
  int fd_ = -1;
  std::string partial_;
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_TRAINER_LOG_H_
