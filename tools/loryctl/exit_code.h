#ifndef LORY_TOOLS_LORYCTL_EXIT_CODE_H_
#define LORY_TOOLS_LORYCTL_EXIT_CODE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// How loryctl ends, so that scripts can tell without reading words.
namespace lory::ctl {

enum class ExitCode {
  kOk = 0,
  kError = 1,
  kUsage = 2,
  kNotFound = 3,
  kUnavailable = 4,
  kWrongState = 5,
  kJobFailed = 6,
  kJobCancelled = 7,
  kDenied = 8,
  kInterrupted = 130,  // as shells say it of SIGINT
};

ExitCode ExitCodeOf(const absl::Status& status);

// The table that `loryctl help exit-codes` prints.
std::string ExitCodeHelp();

// `status` with the command that mends it, shown beneath the error.
absl::Status WithHint(const absl::Status& status, absl::string_view hint);
// The same for one code only; others are passed on.
absl::Status WithHint(const absl::Status& status, absl::StatusCode code,
                      absl::string_view hint);

// `status` that ends the program with `code` instead of its own.
absl::Status WithExitCode(absl::Status status, ExitCode code);

// What stderr says about `status`: message, reason where it tells more, hint.
std::string ErrorText(const absl::Status& status);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_EXIT_CODE_H_
