// A trainer without LibTorch, for tests of daemon and coordinator. Takes the
// command line of lory-trainer.

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <string>

#include "tests/support/fake_trainer/fake_trainer.h"

int main(int argc, char** argv) {
  lory::testing::FakeTrainer::Options options;
  int64_t parent_pid = 0;
  int threads = 1;
  std::string device;
  CLI::App app("fake trainer", "lory-fake-trainer");
  app.add_option("--socket", options.socket)->required();
  app.add_option("--job", options.job)->required();
  app.add_option("--slot", options.slot)->required();
  app.add_option("--incarnation", options.incarnation)->required();
  app.add_option("--listen-host", options.listen_host)->required();
  app.add_option("--worker", options.worker)->required();
  app.add_option("--parent-pid", parent_pid)->required();
  app.add_option("--device", device);
  app.add_option("--threads", threads);
  CLI11_PARSE(app, argc, argv);
  // In this order: a parent that died in between is noticed.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent_pid) return 1;
  lory::testing::FakeTrainer trainer(options);
  trainer.Run();
}
