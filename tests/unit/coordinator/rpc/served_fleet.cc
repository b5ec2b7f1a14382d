#include "tests/unit/coordinator/rpc/served_fleet.h"

#include "common/base/check.h"
#include "common/base/log.h"

namespace lory::coordinator {

ServedFleet::ServedFleet() {
  SetLogOptions(LogLevel::kError, LogFormat::kText);
  auto started = rpc::Server::Start(
      {.address = "127.0.0.1:0"},
      {&jobs, &datasets, &checkpoints, &workers, &worker_admin, &server_info});
  LORY_CHECK(started.ok());
  server = *std::move(started);
  auto opened = rpc::OpenChannel(server->address(), {});
  LORY_CHECK(opened.ok());
  channel = *std::move(opened);
}

ServedFleet::~ServedFleet() {
  jobs.Stop();
  fleet.core().Shutdown();
  server->Shutdown(absl::Seconds(2));
  SetLogOptions(LogLevel::kInfo, LogFormat::kText);
}

}  // namespace lory::coordinator
