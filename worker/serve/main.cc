// lory-server: text from a checkpoint. See worker/serve/app.h.

#include <cstdio>
#include <string>

#include "common/base/log.h"
#include "common/base/stop_signals.h"
#include "worker/serve/app.h"
#include "worker/serve/flags.h"

int main(int argc, char** argv) {
  using lory::Log;
  using lory::LogLevel;
  namespace serve = lory::serve;

  serve::AppOptions options;
  if (const auto exit = serve::ParseFlags(argc, argv, options)) return *exit;
  lory::SetLogOptions(LogLevel::kInfo, options.log_format);
  const int stop_fd = lory::StopSignals();
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
  lory::WaitUntilReadable(stop_fd);
  Log(LogLevel::kInfo, "server stops on request");
  app->reset();
  return serve::kExitOk;
}
