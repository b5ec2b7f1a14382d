#include "coordinator/rpc/job_service.h"

#include <string>
#include <utility>

#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "coordinator/rpc/log_relay.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/stable_bytes.h"

namespace lory::coordinator {
namespace {

// A watcher hears of changes at most twice a second.
constexpr absl::Duration kWatchInterval = absl::Milliseconds(500);

}  // namespace

grpc::Status JobServiceRpc::CreateJob(grpc::ServerContext*,
                                      const lory::v1::CreateJobRequest* request,
                                      lory::v1::Job* response) {
  return Finish(observer_, "CreateJob", coordinator_.CreateJob(*request),
                response);
}

grpc::Status JobServiceRpc::GetJob(grpc::ServerContext*,
                                   const lory::v1::GetJobRequest* request,
                                   lory::v1::Job* response) {
  return Finish(observer_, "GetJob", coordinator_.GetJob(request->name()),
                response);
}

grpc::Status JobServiceRpc::ListJobs(grpc::ServerContext*,
                                     const lory::v1::ListJobsRequest* request,
                                     lory::v1::ListJobsResponse* response) {
  return Finish(observer_, "ListJobs", coordinator_.ListJobs(*request),
                response);
}

absl::Status JobServiceRpc::Watch(grpc::ServerContext& context,
                                  const std::string& name,
                                  grpc::ServerWriter<lory::v1::Job>& writer) {
  LORY_ASSIGN_OR_RETURN(const auto place, streams_.Take());
  int64_t seen = 0;
  std::string last;
  while (!context.IsCancelled() && !stopping_) {
    LORY_ASSIGN_OR_RETURN(const lory::v1::Job job, coordinator_.GetJob(name));
    std::string bytes = StableBytes(job);
    if (bytes != last) {
      if (!writer.Write(job)) break;
      last = std::move(bytes);
      // Changes of the next moment travel together.
      seen = coordinator_.WaitForChange(INT64_MAX, kWatchInterval);
    } else {
      seen = coordinator_.WaitForChange(seen, kWatchInterval);
    }
    if (IsFinal(job.state())) return absl::OkStatus();
  }
  if (!stopping_) return absl::CancelledError("the watcher left");
  return ErrorWithReason(absl::StatusCode::kUnavailable, "COORDINATOR_STOPS",
                         "the coordinator stops; try again");
}

grpc::Status JobServiceRpc::WatchJob(
    grpc::ServerContext* context, const lory::v1::GetJobRequest* request,
    grpc::ServerWriter<lory::v1::Job>* writer) {
  return Finish(observer_, "WatchJob",
                Watch(*context, request->name(), *writer));
}

grpc::Status JobServiceRpc::UpdateJob(grpc::ServerContext*,
                                      const lory::v1::UpdateJobRequest* request,
                                      lory::v1::Job* response) {
  return Finish(observer_, "UpdateJob", coordinator_.UpdateJob(*request),
                response);
}

grpc::Status JobServiceRpc::PauseJob(grpc::ServerContext*,
                                     const lory::v1::JobVerbRequest* request,
                                     lory::v1::Job* response) {
  return Finish(observer_, "PauseJob", coordinator_.PauseJob(*request),
                response);
}

grpc::Status JobServiceRpc::ResumeJob(grpc::ServerContext*,
                                      const lory::v1::JobVerbRequest* request,
                                      lory::v1::Job* response) {
  return Finish(observer_, "ResumeJob", coordinator_.ResumeJob(*request),
                response);
}

grpc::Status JobServiceRpc::CancelJob(grpc::ServerContext*,
                                      const lory::v1::JobVerbRequest* request,
                                      lory::v1::Job* response) {
  return Finish(observer_, "CancelJob", coordinator_.CancelJob(*request),
                response);
}

grpc::Status JobServiceRpc::DeleteJob(grpc::ServerContext*,
                                      const lory::v1::JobVerbRequest* request,
                                      lory::v1::Job* response) {
  return Finish(observer_, "DeleteJob", coordinator_.DeleteJob(*request),
                response);
}

grpc::Status JobServiceRpc::ExplainJob(grpc::ServerContext*,
                                       const lory::v1::GetJobRequest* request,
                                       lory::v1::ExplainJobResponse* response) {
  return Finish(observer_, "ExplainJob",
                coordinator_.ExplainJob(request->name()), response);
}

grpc::Status JobServiceRpc::ListJobEvents(
    grpc::ServerContext*, const lory::v1::ListJobEventsRequest* request,
    lory::v1::ListJobEventsResponse* response) {
  return Finish(observer_, "ListJobEvents",
                coordinator_.ListJobEvents(*request), response);
}

absl::Status JobServiceRpc::StreamLogs(
    grpc::ServerContext& context, const lory::v1::StreamJobLogsRequest& request,
    grpc::ServerWriter<lory::v1::LogChunk>& writer) {
  LORY_ASSIGN_OR_RETURN(const auto place, streams_.Take());
  return RelayLogs(coordinator_, tls_, stopping_, context, request, writer);
}

grpc::Status JobServiceRpc::StreamJobLogs(
    grpc::ServerContext* context, const lory::v1::StreamJobLogsRequest* request,
    grpc::ServerWriter<lory::v1::LogChunk>* writer) {
  return Finish(observer_, "StreamJobLogs",
                StreamLogs(*context, *request, *writer));
}

}  // namespace lory::coordinator
