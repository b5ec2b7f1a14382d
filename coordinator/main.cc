#include <unistd.h>

#include <cstdio>
#include <string>

#include "common/base/log.h"
#include "common/base/stop_signals.h"
#include "coordinator/app.h"
#include "coordinator/flags.h"

int main(int argc, char** argv) {
  lory::IgnoreFileSizeSignal();
  using lory::Log;
  using lory::LogLevel;
  namespace coordinator = lory::coordinator;

  coordinator::AppOptions options;
  if (const auto exit = coordinator::ParseFlags(argc, argv, options)) {
    return *exit;
  }
  lory::SetLogOptions(LogLevel::kInfo, options.log_format);
  const int stop_fd = lory::StopSignals();
  auto app = coordinator::App::Start(options);
  if (!app.ok()) {
    std::fprintf(stderr, "lory-coordinator: %s\n",
                 std::string(app.status().message()).c_str());
    return coordinator::kExitFailed;
  }
  coordinator::LogLimits(options.plan);
  Log(LogLevel::kInfo, "coordinator serves",
      {{"rpc", (*app)->rpc_address()},
       {"page", "http://" + (*app)->http_address() + "/"},
       {"version", LORY_VERSION}});
  const absl::Status ended = (*app)->Run(stop_fd);
  if (!ended.ok()) {
    Log(LogLevel::kError, "coordinator ends", {{"error", ended.message()}});
    // Nothing more can be promised: what is open ends with the process.
    _exit(coordinator::kExitFailed);
  }
  Log(LogLevel::kInfo, "coordinator stops on request");
  app->reset();
  return coordinator::kExitOk;
}
