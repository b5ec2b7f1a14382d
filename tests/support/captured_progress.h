#ifndef LORY_TESTS_SUPPORT_CAPTURED_PROGRESS_H_
#define LORY_TESTS_SUPPORT_CAPTURED_PROGRESS_H_

#include <cstdio>
#include <string>

#include "common/base/progress.h"
#include "tests/support/fake_clock.h"

namespace lory::testing {

// A progress that a test can read. Time stands still unless the test moves it.
class CapturedProgress {
 public:
  explicit CapturedProgress(bool is_terminal = false)
      : progress_(clock_, file_, is_terminal) {}
  ~CapturedProgress() { std::fclose(file_); }

  Progress& progress() { return progress_; }
  FakeClock& clock() { return clock_; }

  // What was said since the last call.
  std::string Take() {
    std::fflush(file_);
    std::string text(static_cast<size_t>(std::ftell(file_)), '\0');
    std::rewind(file_);
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    std::rewind(file_);
    return text;
  }

 private:
  FakeClock clock_;
  std::FILE* const file_ = std::tmpfile();
  Progress progress_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_CAPTURED_PROGRESS_H_
