#include "coordinator/app.h"

#include <poll.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/io/absolute_path.h"
#include "common/io/storage.h"
#include "coordinator/page/jobs_json.h"
#include "coordinator/page/status_page.h"

namespace lory::coordinator {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr absl::Duration kHousekeeping = absl::Milliseconds(500);
constexpr absl::Duration kShutdownGrace = absl::Seconds(2);
constexpr size_t kPageEvents = 12;

page::StatusPageData PageData(const Snapshot& snapshot, absl::Time now) {
  page::StatusPageData data{.now = now,
                            .jobs = snapshot.jobs,
                            .workers = snapshot.workers,
                            .events = snapshot.events};
  for (const auto& [job, points] : snapshot.losses) {
    for (const LossPoint& point : points) {
      data.losses[job].push_back({static_cast<double>(point.step), point.loss});
    }
  }
  return data;
}

absl::StatusOr<std::string> StateFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) {
    const auto absolute = std::filesystem::canonical(path, error);
    if (!error) return absolute.string();
  }
  return absl::InternalError(absl::StrCat(path, ": ", error.message()));
}

absl::Status WriteReadyFile(const std::string& path, const std::string& rpc,
                            const std::string& http) {
  if (path.empty()) return absl::OkStatus();
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  const nlohmann::json json = {
      {"grpc", rpc}, {"http", http}, {"pid", ::getpid()}};
  return io::LocalStorage().Write(absolute.string(), json.dump() + "\n");
}

}  // namespace

absl::StatusOr<std::unique_ptr<App>> App::Start(const AppOptions& options) {
  LORY_RETURN_IF_ERROR(CheckPlanOptions(options.plan));
  auto app = std::unique_ptr<App>(new App);
  Coordinator::Options core{.plan = options.plan,
                            .data_roots = options.data_roots};
  // Paths in assignments mean the same on every host: absolute.
  LORY_ASSIGN_OR_RETURN(
      core.storage_root,
      io::WritableFolder("--storage-root", options.storage_root));
  for (const std::string& root : options.data_roots) {
    // Jobs whose data is there go on.
    const absl::Status there = io::ExistingFolder("--data-root", root).status();
    if (!there.ok()) Log(LogLevel::kWarning, there.message());
  }
  LORY_ASSIGN_OR_RETURN(const std::string state, StateFolder(options.state));
  LORY_ASSIGN_OR_RETURN(app->journal_, SqliteJournal::Open(state));
  LORY_ASSIGN_OR_RETURN(
      app->coordinator_,
      Coordinator::Create(std::move(core), *app->journal_, RealClock(),
                          io::LocalStorage(), &app->metrics_));
  LORY_RETURN_IF_ERROR(app->Serve(options));
  app->StartThreads();
  app->server_->SetServing(true);
  LORY_RETURN_IF_ERROR(WriteReadyFile(options.ready_file, app->rpc_address(),
                                      app->http_address()));
  return app;
}

absl::Status App::Serve(const AppOptions& options) {
  Coordinator& core = *coordinator_;
  jobs_ = std::make_unique<JobServiceRpc>(core, &metrics_, options.tls);
  datasets_ = std::make_unique<DatasetServiceRpc>(core, &metrics_);
  checkpoints_ = std::make_unique<CheckpointServiceRpc>(core, &metrics_);
  workers_ = std::make_unique<WorkerServiceRpc>(core, &metrics_);
  worker_admin_ = std::make_unique<WorkerAdminServiceRpc>(core, &metrics_);
  server_info_ = std::make_unique<ServerInfoServiceRpc>(RealClock(), &metrics_);

  std::map<std::string, http::Handler> pages;
  const auto page_data = [this] {
    return PageData(coordinator_->TakeSnapshot(kPageEvents),
                    RealClock().WallNow());
  };
  pages["/"] = [page_data](const std::string&) {
    return http::Response{.content_type = "text/html; charset=utf-8",
                          .body = page::RenderStatusPage(page_data())};
  };
  pages["/api/jobs"] = [page_data](const std::string&) {
    return http::Response{.content_type = "application/json",
                          .body = page::RenderJobsJson(page_data())};
  };
  pages["/metrics"] = [this](const std::string&) {
    return http::Response{
        .content_type = "text/plain; version=0.0.4; charset=utf-8",
        .body = metrics_.Serialize(coordinator_->TakeSnapshot(0))};
  };
  pages["/healthz"] = [this](const std::string&) {
    return coordinator_->failed()
               ? http::Response{.status = 503, .body = "journal failed\n"}
               : http::Response{.body = "ok\n"};
  };
  LORY_ASSIGN_OR_RETURN(
      http_, http::HttpServer::Start(options.http, options.http_token_file,
                                     std::move(pages)));
  LORY_ASSIGN_OR_RETURN(
      server_, rpc::Server::Start(
                   {.address = options.listen, .tls = options.tls},
                   {jobs_.get(), datasets_.get(), checkpoints_.get(),
                    workers_.get(), worker_admin_.get(), server_info_.get()}));
  return absl::OkStatus();
}

void App::StartThreads() {
  reaper_ = std::jthread([this](std::stop_token stop) {
    while (!stop.stop_requested()) {
      coordinator_->Tick();
      RealClock().SleepFor(kTick);
    }
  });
  housekeeper_ = std::jthread([this](std::stop_token stop) {
    while (!stop.stop_requested()) {
      coordinator_->DoHousekeeping();
      RealClock().SleepFor(kHousekeeping);
    }
  });
}

App::~App() {
  if (jobs_ != nullptr) jobs_->Stop();
  if (server_ != nullptr) server_->SetServing(false);
  if (coordinator_ != nullptr) coordinator_->Shutdown();
  if (server_ != nullptr) server_->Shutdown(kShutdownGrace);
  http_.reset();
  reaper_.request_stop();
  housekeeper_.request_stop();
}

absl::Status App::Run(int stop_fd) {
  pollfd waited = {.fd = stop_fd, .events = POLLIN, .revents = 0};
  while (true) {
    const int ready = ::poll(&waited, 1, 500);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) {
      return absl::InternalError("waiting for signals failed");
    }
    if (coordinator_->failed()) {
      return absl::InternalError(
          "the journal cannot be written; start again once the disk is well");
    }
  }
}

}  // namespace lory::coordinator
