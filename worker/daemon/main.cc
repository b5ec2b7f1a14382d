// lory-worker: the daemon of one host. See worker/daemon/app.h.

#include "common/base/stop_signals.h"
#include "worker/daemon/app.h"
#include "worker/daemon/flags.h"

int main(int argc, char** argv) {
  lory::IgnoreFileSizeSignal();
  int exit_status = lory::daemon::kExitOk;
  const auto flags = lory::daemon::ParseFlags(argc, argv, &exit_status);
  return flags.has_value() ? lory::daemon::RunApp(*flags) : exit_status;
}
