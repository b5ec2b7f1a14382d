#ifndef LORY_WORKER_TRAIN_LINE_FILE_H_
#define LORY_WORKER_TRAIN_LINE_FILE_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lory/v1/job.pb.h"
#include "worker/train/control_words.h"

namespace lory::train {

// A file that grows by whole lines, each written by one system call: a process
// that is killed leaves whole lines only. Not synced: what a machine takes with
// it when it dies is as lost as its steps. While the disk is full lines wait in
// memory. Move-only; thread-compatible.
class LineFile {
 public:
  // Makes missing folders; ends a cut line that an earlier machine failure
  // left. The operating system's error otherwise, with the path.
  static absl::StatusOr<LineFile> Open(const std::string& path);
  ~LineFile();
  LineFile(LineFile&& other) noexcept;
  LineFile& operator=(LineFile&& other) noexcept;

  // Adds `line` and a newline. What cannot be written now is logged once and
  // tried again with the next line; beyond kWaitingLimit lines are lost.
  void Append(absl::string_view line);

  // Writes what waits. Whether nothing does any more.
  bool Flush();

  static constexpr size_t kWaitingLimit = 16 << 20;  // bytes

 private:
  LineFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_ = -1;
  std::string path_;
  std::string waiting_;  // not yet written
  bool failing_ = false;
};

// A line of <job folder>/trace/<worker>-<slot>.jsonl: see docs/protocol.md,
// "Trace and proof". `words` by rank; `digest` is the chain after the step.
std::string TraceLine(int64_t step, int64_t generation,
                      std::span<const ControlWord> words,
                      std::span<const int32_t> shares,
                      absl::string_view digest);

// A line of <job folder>/metrics/steps.jsonl, for `loryctl job plot`; written
// by rank 0. What a checkpoint cost stands with the step after it.
std::string MetricsLine(int64_t generation,
                        const lory::v1::JobProgress& progress);

// A line of <job folder>/metrics/evaluations.jsonl; written by rank 0.
std::string EvaluationLine(int64_t generation,
                           const lory::v1::Evaluation& evaluation);

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_LINE_FILE_H_
