#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "worker/train/app.h"

namespace {

// A trainer must not outlive its daemon, which fences what it writes. The
// kernel sees to it from here on; a parent that died before is found by its
// number.
bool TieToParent(int64_t parent_pid) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return parent_pid == 0 || getppid() == parent_pid;
}

}  // namespace

int main(int argc, char** argv) {
  // Before anything else that could take time: see TieToParent.
  prctl(PR_SET_PDEATHSIG, SIGKILL);

  lory::train::Flags flags;
  CLI::App app(
      "Trains one job on one device. Started by lory-worker, not by people.",
      "lory-trainer");
  app.set_version_flag("--version", "lory-trainer " LORY_VERSION);
  app.add_option("--socket", flags.socket, "Daemon's socket, unix:PATH")
      ->required();
  app.add_option("--job", flags.job, "Job, jobs/ID")->required();
  app.add_option("--slot", flags.slot, "Device of the worker");
  app.add_option("--incarnation", flags.incarnation,
                 "Number that the daemon gave this process")
      ->required();
  app.add_option("--listen-host", flags.listen_host,
                 "This host's name or address, as peers know it");
  app.add_option("--parent-pid", flags.parent_pid,
                 "Process id of the daemon; 0: not checked");
  app.add_option("--device", flags.device, "cpu")->capture_default_str();
  app.add_option("--threads", flags.threads, "Threads to compute with; 0: all");
  app.add_option("--worker", flags.worker, "Id of the worker");
  app.add_flag("--json-log", flags.json_log, "Log as JSON");
  CLI11_PARSE(app, argc, argv);

  if (!TieToParent(flags.parent_pid)) {
    std::fprintf(stderr, "lory-trainer: the daemon (pid %lld) is gone\n",
                 static_cast<long long>(flags.parent_pid));
    return 2;
  }
  return lory::train::RunTrainer(flags);
}
