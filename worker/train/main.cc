#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>

#include "common/base/stop_signals.h"
#include "common/flags/command_line.h"
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
  lory::IgnoreFileSizeSignal();

  lory::train::Flags flags;
  lory::flags::CommandLine line(
      {.name = "lory-trainer",
       .about = "Trains one job on one device. Started by lory-worker, not by "
                "people.",
       .version = "lory-trainer " LORY_VERSION,
       .usage_exit = std::nullopt});
  line.Add("--socket", flags.socket, "Daemon's socket, unix:PATH").Required();
  line.Add("--job", flags.job, "Job, jobs/ID").Required();
  line.Add("--slot", flags.slot, "Device of the worker");
  line.Add("--incarnation", flags.incarnation,
           "Number that the daemon gave this process")
      .Required();
  line.Add("--listen-host", flags.listen_host,
           "This host's name or address, as peers know it");
  line.Add("--parent-pid", flags.parent_pid,
           "Process id of the daemon; 0: not checked");
  line.Add("--device", flags.device, "cpu").ShowDefault();
  line.Add("--threads", flags.threads, "Threads to compute with; 0: all");
  line.Add("--worker", flags.worker, "Id of the worker");
  line.AddSwitch("--json-log", flags.json_log, "Log as JSON");
  if (const auto exit = line.Parse(argc, argv)) return *exit;

  if (!TieToParent(flags.parent_pid)) {
    std::fprintf(stderr, "lory-trainer: the daemon (pid %lld) is gone\n",
                 static_cast<long long>(flags.parent_pid));
    return 2;
  }
  return lory::train::RunTrainer(flags);
}
