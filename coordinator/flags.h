#ifndef LORY_COORDINATOR_FLAGS_H_
#define LORY_COORDINATOR_FLAGS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "coordinator/app.h"

namespace lory::coordinator {

// Exit codes of lory-coordinator.
enum ExitCode {
  kExitOk = 0,      // stopped on request
  kExitFailed = 1,  // could not start, or the journal failed
  kExitUsage = 2,   // wrong flags
};

// Fills `options` from the command line, then LORY_COORDINATOR_* variables. A
// number: the process should exit with it at once (--help, --version, wrong
// flags; the words are printed).
std::optional<int> ParseFlags(int argc, char** argv, AppOptions& options);

// One line a limit: its value and whether a flag or the default set it.
void LogLimits(const PlanOptions& limits);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_FLAGS_H_
