#ifndef LORY_COORDINATOR_APP_H_
#define LORY_COORDINATOR_APP_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/log.h"
#include "common/http/http_server.h"
#include "common/rpc/server.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/engine/sqlite_journal.h"
#include "coordinator/metrics/metrics.h"
#include "coordinator/rpc/checkpoint_service.h"
#include "coordinator/rpc/dataset_service.h"
#include "coordinator/rpc/job_service.h"
#include "coordinator/rpc/server_info_service.h"
#include "coordinator/rpc/worker_service.h"

namespace lory::coordinator {

// What a person can set; flags.cc says how.
struct AppOptions {
  std::string listen = "127.0.0.1:7440";
  std::string http = "127.0.0.1:7441";
  std::string http_token_file;  // empty: loopback only
  std::string state = "lory-state";
  std::string storage_root = "lory-storage";
  std::vector<std::string> data_roots;
  rpc::TlsFiles tls;
  PlanOptions plan;
  std::string ready_file;  // empty: none
  LogFormat log_format = LogFormat::kText;
};

// A whole coordinator: the only place that constructs its parts, and that
// knows in which order they start and stop.
class App {
 public:
  // Replays the journal, then serves. Errors say what to change.
  static absl::StatusOr<std::unique_ptr<App>> Start(const AppOptions& options);

  // Stops serving, then the rest. Open calls end with UNAVAILABLE.
  ~App();

  const std::string& rpc_address() const { return server_->address(); }
  std::string http_address() const { return http_->address(); }

  // Blocks until `stop_fd` is readable (OK), or the journal has failed for
  // good (INTERNAL): then the process must start again.
  absl::Status Run(int stop_fd);

 private:
  App() = default;

  absl::Status Serve(const AppOptions& options);
  void StartThreads();

  CoordinatorMetrics metrics_;
  std::unique_ptr<SqliteJournal> journal_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<JobServiceRpc> jobs_;
  std::unique_ptr<DatasetServiceRpc> datasets_;
  std::unique_ptr<CheckpointServiceRpc> checkpoints_;
  std::unique_ptr<WorkerServiceRpc> workers_;
  std::unique_ptr<WorkerAdminServiceRpc> worker_admin_;
  std::unique_ptr<ServerInfoServiceRpc> server_info_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<http::HttpServer> http_;
  std::jthread reaper_;       // Tick
  std::jthread housekeeper_;  // DoHousekeeping
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_APP_H_
