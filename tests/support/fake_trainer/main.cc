// A trainer without LibTorch, for tests of daemon and coordinator. Takes the
// command line of lory-trainer.

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "common/flags/command_line.h"
#include "tests/support/fake_trainer/fake_trainer.h"

int main(int argc, char** argv) {
  lory::testing::FakeTrainer::Options options;
  int64_t parent_pid = 0;
  int threads = 1;
  std::string device;
  lory::flags::CommandLine line({.name = "lory-fake-trainer",
                                 .about = "fake trainer",
                                 .usage_exit = std::nullopt});
  line.Add("--socket", options.socket).Required();
  line.Add("--job", options.job).Required();
  line.Add("--slot", options.slot).Required();
  line.Add("--incarnation", options.incarnation).Required();
  line.Add("--listen-host", options.listen_host).Required();
  line.Add("--worker", options.worker).Required();
  line.Add("--parent-pid", parent_pid).Required();
  line.Add("--device", device);
  line.Add("--threads", threads);
  if (const auto exit = line.Parse(argc, argv)) return *exit;
  // In this order: a parent that died in between is noticed.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent_pid) return 1;
  lory::testing::FakeTrainer trainer(options);
  trainer.Run();
}
