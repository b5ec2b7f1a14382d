// lory-server: text from a checkpoint. See worker/serve/app.h.

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "common/base/log.h"
#include "worker/serve/app.h"
#include "worker/serve/flags.h"

namespace {

// SIGTERM and SIGINT as something to wait for; blocked in every thread.
int StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

void WaitFor(int fd) {
  pollfd waited = {.fd = fd, .events = POLLIN, .revents = 0};
  while (::poll(&waited, 1, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  using lory::Log;
  using lory::LogLevel;
  namespace serve = lory::serve;

  serve::AppOptions options;
  if (const auto exit = serve::ParseFlags(argc, argv, options)) return *exit;
  lory::SetLogOptions(LogLevel::kInfo, options.log_format);
  const int stop_fd = StopSignals();
  auto app = serve::App::Start(options);
  if (!app.ok()) {
    std::fprintf(stderr, "lory-server: %s\n",
                 std::string(app.status().message()).c_str());
    return serve::kExitFailed;
  }
  Log(LogLevel::kInfo, "server serves",
      {{"model", (*app)->model_name()},
       {"rpc", (*app)->rpc_address()},
       {"http", "http://" + (*app)->http_address() + "/"},
       {"version", LORY_VERSION}});
  WaitFor(stop_fd);
  Log(LogLevel::kInfo, "server stops on request");
  app->reset();
  return serve::kExitOk;
}
