#include "coordinator/rpc/log_relay.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/error_detail.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status_convert.h"
#include "coordinator/state/job_state.h"
#include "lory/v1/control.grpc.pb.h"

namespace lory::coordinator {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(500);

// What the threads that read from workers share.
struct Relay {
  Mutex mutex;
  CondVar ended_one;
  grpc::ServerWriter<lory::v1::LogChunk>* writer ABSL_GUARDED_BY(mutex);
  bool closed ABSL_GUARDED_BY(mutex) = false;  // the caller left
  size_t running ABSL_GUARDED_BY(mutex) = 0;
  size_t passed ABSL_GUARDED_BY(mutex) = 0;
  std::vector<std::string> errors ABSL_GUARDED_BY(mutex);
};

absl::Status ReadFrom(const std::string& endpoint, const rpc::TlsFiles& tls,
                      const lory::v1::StreamJobLogsRequest& request,
                      grpc::ClientContext& context, Relay& relay) {
  LORY_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                        rpc::OpenChannel(endpoint, tls));
  const auto stub = lory::v1::WorkerControlService::NewStub(channel);
  const auto reader = stub->StreamLogs(&context, request);
  lory::v1::LogChunk chunk;
  while (reader->Read(&chunk)) {
    MutexLock lock(&relay.mutex);
    if (relay.closed || !relay.writer->Write(chunk)) {
      relay.closed = true;
      context.TryCancel();
      break;
    }
    ++relay.passed;
  }
  return rpc::FromGrpc(reader->Finish());
}

// What became of the job, for whoever gets no log of it.
std::string StateText(Coordinator& coordinator, const std::string& name) {
  const auto job = coordinator.GetJob(name);
  return job.ok()
             ? absl::StrCat("it is ", lory::v1::Job::State_Name(job->state()),
                            ": ", job->reason())
             : std::string(job.status().message());
}

}  // namespace

absl::Status RelayLogs(Coordinator& coordinator, const rpc::TlsFiles& tls,
                       const std::atomic<bool>& stopping,
                       grpc::ServerContext& context,
                       const lory::v1::StreamJobLogsRequest& request,
                       grpc::ServerWriter<lory::v1::LogChunk>& writer) {
  LORY_ASSIGN_OR_RETURN(std::vector<std::string> endpoints,
                        coordinator.LogSources(request.name()));
  if (endpoints.empty()) {
    return ErrorWithReason(
        absl::StatusCode::kUnavailable, "LOG_UNREACHABLE",
        absl::StrCat("no worker of ", request.name(), " attends now; ",
                     StateText(coordinator, request.name())));
  }
  Relay relay;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::jthread> threads;
  {
    MutexLock lock(&relay.mutex);
    relay.writer = &writer;
    relay.running = endpoints.size();
  }
  for (const std::string& endpoint : endpoints) {
    grpc::ClientContext* call =
        contexts.emplace_back(std::make_unique<grpc::ClientContext>()).get();
    threads.emplace_back([&, call, endpoint] {
      const absl::Status status =
          ReadFrom(endpoint, tls, request, *call, relay);
      MutexLock lock(&relay.mutex);
      if (!status.ok() && !absl::IsNotFound(status)) {
        relay.errors.push_back(absl::StrCat(endpoint, ": ", status.message()));
      }
      --relay.running;
      relay.ended_one.NotifyAll();
    });
  }
  bool ended = false;
  while (!ended) {
    const auto job = coordinator.GetJob(request.name());
    const bool job_ended = !job.ok() || IsFinal(job->state());
    MutexLock lock(&relay.mutex);
    if (relay.running > 0) relay.ended_one.WaitFor(&relay.mutex, kPoll);
    ended = relay.running == 0;
    if (context.IsCancelled() || stopping || relay.closed || job_ended) {
      // Without `follow` the daemons end by themselves, after the last line.
      if (request.follow() || context.IsCancelled() || stopping) {
        for (const auto& call : contexts) call->TryCancel();
      }
    }
  }
  threads.clear();
  MutexLock lock(&relay.mutex);
  if (relay.passed > 0 || context.IsCancelled()) return absl::OkStatus();
  if (relay.errors.empty()) {
    return ErrorWithReason(
        absl::StatusCode::kNotFound, "LOG_NOT_FOUND",
        absl::StrCat("none of ", contexts.size(), " workers has a log of ",
                     request.name(), "; ",
                     StateText(coordinator, request.name())));
  }
  return ErrorWithReason(absl::StatusCode::kUnavailable, "LOG_UNREACHABLE",
                         absl::StrJoin(relay.errors, "; "));
}

}  // namespace lory::coordinator
