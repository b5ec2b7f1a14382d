#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "common/base/stop_signals.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/environment.h"

namespace lory::ctl {
namespace {

std::string Variable(absl::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  return value == nullptr ? "" : value;
}

// The locale as the C library would choose it, without loading one.
bool SpeaksUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = absl::AsciiStrToLower(Variable(name));
    if (value.empty()) continue;
    return absl::StrContains(value, "utf-8") ||
           absl::StrContains(value, "utf8");
  }
  return false;
}

int Columns() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) {
    return size.ws_col;
  }
  return 80;
}

bool WaitForStop(absl::Duration duration) {
  static const int signals = StopSignals();
  pollfd waited = {.fd = signals, .events = POLLIN, .revents = 0};
  return poll(&waited, 1,
              static_cast<int>(absl::ToInt64Milliseconds(duration))) > 0;
}

}  // namespace
}  // namespace lory::ctl

int main(int argc, char** argv) {
  lory::IgnoreFileSizeSignal();
  using lory::ctl::Environment;
  std::ios::sync_with_stdio(false);
  Environment environment{
      .out = std::cout,
      .err = std::cerr,
      .in = std::cin,
      .clock = lory::RealClock(),
      .out_is_terminal = isatty(STDOUT_FILENO) == 1,
      .err_is_terminal = isatty(STDERR_FILENO) == 1,
      .utf8 = lory::ctl::SpeaksUtf8(),
      .columns = lory::ctl::Columns(),
      .variable = lory::ctl::Variable,
      .wait_for_stop = lory::ctl::WaitForStop,
  };
  return lory::ctl::RunLoryctl(std::vector<std::string>(argv + 1, argv + argc),
                               environment);
}
