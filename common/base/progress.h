#ifndef LORY_COMMON_BASE_PROGRESS_H_
#define LORY_COMMON_BASE_PROGRESS_H_

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace lory {

// "ingest     [######......]  51%  1.2M bytes/s  4s left". A total of 0:
// unknown. `unit`: what is counted, such as "bytes". The time left is told once
// a hundredth is done.
std::string ProgressLine(absl::string_view stage, int64_t done, int64_t total,
                         absl::Duration elapsed, absl::string_view unit = "");

// Tells a person how far a long work is. On a terminal one line that moves;
// elsewhere a plain line every ten seconds. Thread-safe.
class Progress {
 public:
  Progress(Clock& clock, std::FILE* file, bool is_terminal)
      : clock_(clock), file_(file), is_terminal_(is_terminal) {}

  // Begins a stage of `total` units (0: unknown), such as "bytes", or another
  // part of the one that is running.
  void Start(absl::string_view stage, int64_t total,
             absl::string_view unit = "");
  void Advance(int64_t units);
  // Ends the stage with what came out of it and how long it took.
  void Finish(absl::string_view summary);
  // A line of its own, not disturbed by the moving one.
  void Say(absl::string_view line);

 private:
  void Clear() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock& clock_;
  std::FILE* const file_;
  const bool is_terminal_;
  Mutex mutex_;
  std::string stage_ ABSL_GUARDED_BY(mutex_);
  std::string unit_ ABSL_GUARDED_BY(mutex_);
  int64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t total_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time stage_start_ ABSL_GUARDED_BY(mutex_);
  absl::Time start_ ABSL_GUARDED_BY(mutex_);  // of the part
  absl::Time last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory

#endif  // LORY_COMMON_BASE_PROGRESS_H_
