#include "worker/daemon/app.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/address.h"
#include "common/base/error_detail.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/base/stop_signals.h"
#include "common/http/http_server.h"
#include "common/io/absolute_path.h"
#include "common/io/errno_status.h"
#include "common/io/storage.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "nlohmann/json.hpp"
#include "worker/daemon/commit_client.h"
#include "worker/daemon/control_service.h"
#include "worker/daemon/coordinator_session.h"
#include "worker/daemon/daemon_metrics.h"
#include "worker/daemon/host_info.h"
#include "worker/daemon/supervisor.h"
#include "worker/daemon/trainer_service.h"
#include "worker/daemon/trainer_table.h"
#include "worker/daemon/work_folder.h"

namespace lory::daemon {
namespace {

// SIGTERM, five seconds, SIGKILL, and some time for the kernel.
constexpr absl::Duration kEndLimit = absl::Seconds(8);
constexpr absl::Duration kCommitInterval = absl::Seconds(1);
constexpr absl::Duration kLeaveLimit = absl::Seconds(1);

std::string PathOf(const std::string& job_folder,
                   const lory::v1::CommitCheckpointRequest& part) {
  return absl::StrCat(job_folder, "/checkpoints/", part.folder(), "/",
                      part.part().file());
}

// All parts of a daemon, in the order in which they need each other.
class App {
 public:
  App(const Flags& flags, int signal_fd)
      : flags_(flags), signal_fd_(signal_fd) {}

  absl::Status Start();
  // Until a signal (OK) or the session's end.
  absl::Status Run();
  void Stop();

 private:
  // FAILED_PRECONDITION: no job could run here; says why.
  absl::Status CheckHost() const;
  absl::Status OpenCoordinator();
  absl::Status Serve();
  void StartThreads();
  lory::v1::WorkerHello Hello() const;
  absl::Status WriteReadyFile() const;
  void TakePart(const std::string& incarnation,
                const lory::v1::CommitCheckpointRequest& part);
  void PartDecided(const CommitClient::Part& part, PartFate fate);

  const Flags& flags_;
  const int signal_fd_;
  Clock& clock_ = RealClock();
  std::unique_ptr<WorkFolder> folder_;
  std::unique_ptr<lory::v1::WorkerService::Stub> coordinator_;
  std::unique_ptr<lory::v1::WorkerAdminService::Stub> admin_;
  WakeEvent wake_;
  std::unique_ptr<TrainerTable> table_;
  std::unique_ptr<CoordinatorSession> session_;
  std::unique_ptr<DaemonMetrics> metrics_;
  std::unique_ptr<CommitClient> commits_;
  std::unique_ptr<TrainerService> trainer_service_;
  std::unique_ptr<ControlService> control_service_;
  std::unique_ptr<Supervisor> supervisor_;
  std::unique_ptr<rpc::Server> trainer_server_;
  std::unique_ptr<rpc::Server> control_server_;
  std::unique_ptr<http::HttpServer> http_server_;
  WakeEvent session_ended_;
  absl::Status session_status_;  // written before session_ended_
  std::jthread supervisor_thread_;
  std::jthread commit_thread_;
  std::jthread session_thread_;
};

absl::Status App::OpenCoordinator() {
  LORY_ASSIGN_OR_RETURN(const auto channel,
                        rpc::OpenChannel(flags_.coordinator, flags_.tls));
  coordinator_ = lory::v1::WorkerService::NewStub(channel);
  admin_ = lory::v1::WorkerAdminService::NewStub(channel);
  return absl::OkStatus();
}

void App::TakePart(const std::string& incarnation,
                   const lory::v1::CommitCheckpointRequest& part) {
  for (const TrainerTable::Snapshot& snapshot : table_->Snapshots()) {
    if (snapshot.status.incarnation() == incarnation) {
      commits_->Add(
          {incarnation, PathOf(snapshot.assignment.job_folder(), part), part});
    }
  }
}

void App::PartDecided(const CommitClient::Part& part, PartFate fate) {
  metrics_->CountPart(fate);
  if (fate != PartFate::kFenced) return;
  if (table_->DeletePart(part.incarnation, part.path)) return;
  // Its writer is gone; nobody else knows of the file.
  const auto path = io::ResolveBeneath(part.path, flags_.roots.storage);
  if (path.ok()) {
    IgnoreStatus(io::LocalStorage().Remove(*path),
                 "a file left over costs space, nothing else");
  }
}

absl::Status App::Serve() {
  LORY_ASSIGN_OR_RETURN(
      trainer_server_,
      rpc::Server::Start({.address = folder_->socket_address()},
                         {trainer_service_.get()}));
  LORY_ASSIGN_OR_RETURN(
      control_server_,
      rpc::Server::Start({.address = flags_.listen, .tls = flags_.tls},
                         {control_service_.get()}));
  const auto metrics_page = [this](const std::string&) {
    return http::Response{
        .content_type = "text/plain; version=0.0.4; charset=utf-8",
        .body = metrics_->Serialize()};
  };
  const auto health_page = [this](const std::string&) {
    return http::Response{
        .body = session_->state().attached ? "ok\n" : "ok, not attached\n"};
  };
  LORY_ASSIGN_OR_RETURN(
      http_server_, http::HttpServer::Start(flags_.http, flags_.http_token_file,
                                            {{"/metrics", metrics_page},
                                             {"/healthz", health_page}}));
  return absl::OkStatus();
}

lory::v1::WorkerHello App::Hello() const {
  const HostInfo host = ReadHostInfo();
  // An address that means "any" is no address to others.
  const auto reachable = [this](const std::string& address) {
    const HostPort parts = SplitHostPort(address);
    const bool any = parts.host == "0.0.0.0" || parts.host == "::";
    return JoinHostPort(any ? flags_.advertise_host : parts.host, parts.port);
  };
  lory::v1::WorkerHello hello;
  hello.set_worker_id(flags_.name);
  hello.set_incarnation(SecureRandomHex(8));
  lory::v1::WorkerDescription& description = *hello.mutable_description();
  description.set_version(LORY_VERSION);
  description.set_slot_count(flags_.slots);
  description.set_device_kind(flags_.device);
  description.set_device_name(host.processor_name);
  description.set_core_count(host.core_count);
  description.set_memory_bytes(host.memory_bytes);
  description.set_control_endpoint(reachable(control_server_->address()));
  description.set_metrics_endpoint(reachable(http_server_->address()));
  return hello;
}

void App::StartThreads() {
  supervisor_thread_ = std::jthread(
      [this](std::stop_token stop) { supervisor_->Run(std::move(stop)); });
  commit_thread_ = std::jthread(
      [this](std::stop_token stop) { commits_->Run(std::move(stop)); });
  const lory::v1::WorkerHello hello = Hello();
  control_service_->SetDescription(hello.description());
  session_thread_ = std::jthread([this, hello](std::stop_token stop) {
    session_status_ = session_->Run(hello, std::move(stop));
    session_ended_.Notify();
  });
}

absl::Status App::WriteReadyFile() const {
  if (flags_.ready_file.empty()) return absl::OkStatus();
  const nlohmann::json ready = {{"name", flags_.name},
                                {"pid", ::getpid()},
                                {"grpc", control_server_->address()},
                                {"http", http_server_->address()}};
  return io::LocalStorage().Write(
      std::filesystem::absolute(flags_.ready_file).string(),
      ready.dump() + "\n");
}

absl::Status App::CheckHost() const {
  for (const std::string& root : flags_.roots.storage) {
    LORY_RETURN_IF_ERROR(io::WritableFolder("--storage-root", root).status());
  }
  for (const std::string& root : flags_.roots.data) {
    LORY_RETURN_IF_ERROR(io::ExistingFolder("--data-root", root).status());
  }
  if (::access(flags_.trainer.c_str(), X_OK) == 0) return absl::OkStatus();
  const absl::Status why =
      io::ErrnoStatus(errno, absl::StrCat("--trainer: ", flags_.trainer));
  return absl::FailedPreconditionError(
      absl::StrCat(why.message(), "; give the path of lory-trainer"));
}

absl::Status App::Start() {
  LORY_RETURN_IF_ERROR(CheckHost());
  LORY_ASSIGN_OR_RETURN(folder_, WorkFolder::Open(flags_.work));
  LORY_RETURN_IF_ERROR(OpenCoordinator());
  TrainerTable::Options options;
  options.slot_count = flags_.slots;
  table_ = std::make_unique<TrainerTable>(options, clock_,
                                          [this] { wake_.Notify(); });
  session_ =
      std::make_unique<CoordinatorSession>(*coordinator_, *table_, clock_);
  metrics_ = std::make_unique<DaemonMetrics>(*table_, *session_, flags_.slots);
  commits_ = std::make_unique<CommitClient>(
      *coordinator_, clock_, kCommitInterval,
      [this](const auto& part, PartFate fate) { PartDecided(part, fate); });
  trainer_service_ = std::make_unique<TrainerService>(
      *table_, [this](const auto& incarnation, const auto& part) {
        TakePart(incarnation, part);
      });
  control_service_ = std::make_unique<ControlService>(
      flags_.name, flags_.slots, folder_->log_folder(), *table_, *session_,
      *admin_, clock_);
  supervisor_ = std::make_unique<Supervisor>(
      Supervisor::Options{.trainer_binary = flags_.trainer,
                          .socket_address = folder_->socket_address(),
                          .worker_id = flags_.name,
                          .listen_host = flags_.advertise_host,
                          .device = flags_.device,
                          .threads = flags_.threads,
                          .log_folder = folder_->log_folder(),
                          .roots = flags_.roots},
      *table_, wake_, clock_,
      [this](EndCause cause) { metrics_->CountEnd(cause); });
  LORY_RETURN_IF_ERROR(Serve());
  StartThreads();
  control_server_->SetServing(true);
  LORY_RETURN_IF_ERROR(WriteReadyFile());
  Log(LogLevel::kInfo, "worker serves",
      {{"grpc", control_server_->address()},
       {"http", http_server_->address()},
       {"slots", flags_.slots},
       {"threads", flags_.threads}});
  return absl::OkStatus();
}

absl::Status App::Run() {
  pollfd fds[] = {{signal_fd_, POLLIN, 0}, {session_ended_.fd(), POLLIN, 0}};
  while (::poll(fds, 2, -1) < 0) {
  }
  if (fds[0].revents == 0) return session_status_;
  Log(LogLevel::kInfo, "told to stop; ending the trainers");
  return absl::OkStatus();
}

void App::Stop() {
  if (session_thread_.joinable()) {
    table_->Close();
    const absl::Time limit = clock_.MonotonicNow() + kEndLimit;
    while (!table_->empty() && clock_.MonotonicNow() < limit) {
      table_->WaitForChange(table_->BuildReport().version,
                            absl::Milliseconds(100));
    }
    session_->Leave();
    pollfd left = {session_ended_.fd(), POLLIN, 0};
    ::poll(&left, 1, static_cast<int>(absl::ToInt64Milliseconds(kLeaveLimit)));
    for (std::jthread* thread :
         {&session_thread_, &commit_thread_, &supervisor_thread_}) {
      thread->request_stop();
      wake_.Notify();
      thread->join();
    }
  }
  if (control_service_ != nullptr) control_service_->Close();
  if (control_server_ != nullptr) control_server_->Shutdown(kLeaveLimit);
  if (trainer_server_ != nullptr) {
    trainer_server_->Shutdown(absl::ZeroDuration());
  }
}

}  // namespace

int RunApp(const Flags& flags) {
  const int signal_fd = StopSignals();
  SetLogOptions(LogLevel::kInfo, flags.log_format);
  SetLogContext({{"worker", flags.name}});

  App app(flags, signal_fd);
  absl::Status status = app.Start();
  if (status.ok()) status = app.Run();
  app.Stop();
  ::close(signal_fd);
  if (status.ok()) return kExitOk;
  if (ReasonOf(status) == "WORKER_NAME_TAKEN") {
    Log(LogLevel::kError,
        "another living worker has this name; give each its own --name",
        {{"error", status.message()}});
    return kExitNameTaken;
  }
  Log(LogLevel::kError, "cannot go on", {{"error", status.message()}});
  return kExitError;
}

}  // namespace lory::daemon
