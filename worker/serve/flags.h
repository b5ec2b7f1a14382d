#ifndef LORY_WORKER_SERVE_FLAGS_H_
#define LORY_WORKER_SERVE_FLAGS_H_

#include <optional>

#include "worker/serve/app.h"

namespace lory::serve {

// Exit codes of lory-server.
enum ExitCode {
  kExitOk = 0,      // stopped on request
  kExitFailed = 1,  // could not start
  kExitUsage = 2,   // wrong flags
};

// Fills `options` from the command line, then LORY_SERVER_* variables. A
// number: the process should exit with it at once (--help, --version, wrong
// flags; the words are printed).
std::optional<int> ParseFlags(int argc, char** argv, AppOptions& options);

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_FLAGS_H_
