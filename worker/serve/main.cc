// lory-server: text from a checkpoint. See worker/serve/app.h.

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <thread>

#include "common/base/check.h"

#include "common/base/log.h"
#include "common/base/stop_signals.h"
#include "worker/serve/app.h"
#include "worker/serve/flags.h"

namespace {

// Blocks until one of the two can be read; whether it is `wanted`.
bool IsFirst(int wanted, int other) {
  std::array<pollfd, 2> fds = {{{.fd = wanted, .events = POLLIN, .revents = 0},
                                {.fd = other, .events = POLLIN, .revents = 0}}};
  while (::poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
  }
  return (fds[0].revents & POLLIN) != 0;
}

}  // namespace

int main(int argc, char** argv) {
  lory::IgnoreFileSizeSignal();
  using lory::Log;
  using lory::LogLevel;
  namespace serve = lory::serve;

  serve::AppOptions options;
  if (const auto exit = serve::ParseFlags(argc, argv, options)) return *exit;
  lory::SetLogOptions(LogLevel::kInfo, options.log_format);
  const int stop_fd = lory::StopSignals();
  // Checkpoints take a while to load, which a signal does not wait for: there
  // is nothing to give back.
  const int loaded_fd = ::eventfd(0, EFD_CLOEXEC);
  LORY_CHECK(loaded_fd >= 0);
  std::jthread watching([=] {
    if (IsFirst(loaded_fd, stop_fd)) return;
    Log(LogLevel::kInfo, "server stops on request, while it loads");
    ::_exit(serve::kExitOk);
  });
  auto app = serve::App::Start(options);
  ::eventfd_write(loaded_fd, 1);
  watching.join();
  if (!app.ok()) {
    std::fprintf(stderr, "lory-server: %s\n",
                 std::string(app.status().message()).c_str());
    return serve::kExitFailed;
  }
  Log(LogLevel::kInfo, "server serves",
      {{"model", (*app)->model_name()},
       {"rpc", (*app)->rpc_address()},
       {"http", "http://" + (*app)->http_address() + "/"},
       {"max_active", std::to_string((*app)->engine().max_active())},
       {"expert_bytes_each",
        std::to_string(serve::Engine::KeptBytesOf((*app)->model()))},
       {"version", LORY_VERSION}});
  lory::WaitUntilReadable(stop_fd);
  Log(LogLevel::kInfo, "server stops on request");
  app->reset();
  return serve::kExitOk;
}
