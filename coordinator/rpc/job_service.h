#ifndef LORY_COORDINATOR_RPC_JOB_SERVICE_H_
#define LORY_COORDINATOR_RPC_JOB_SERVICE_H_

#include <atomic>

#include "common/rpc/credentials.h"
#include "common/rpc/stream_limit.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/rpc/call.h"
#include "lory/v1/job.grpc.pb.h"

namespace lory::coordinator {

// JobService on the wire. Thread-safe. `observer` may be null; both outlive
// the service.
class JobServiceRpc final : public lory::v1::JobService::Service {
 public:
  // `tls`: how worker daemons are called for their logs. `max_streams`: open
  // watches and log streams, together.
  JobServiceRpc(Coordinator& coordinator, CallObserver* observer,
                rpc::TlsFiles tls, int max_streams = 100)
      : coordinator_(coordinator),
        observer_(observer),
        tls_(std::move(tls)),
        streams_(max_streams) {}

  // Ends the streams that are open.
  void Stop() { stopping_ = true; }

  grpc::Status CreateJob(grpc::ServerContext*,
                         const lory::v1::CreateJobRequest* request,
                         lory::v1::Job* response) override;
  grpc::Status GetJob(grpc::ServerContext*,
                      const lory::v1::GetJobRequest* request,
                      lory::v1::Job* response) override;
  grpc::Status ListJobs(grpc::ServerContext*,
                        const lory::v1::ListJobsRequest* request,
                        lory::v1::ListJobsResponse* response) override;
  grpc::Status WatchJob(grpc::ServerContext* context,
                        const lory::v1::GetJobRequest* request,
                        grpc::ServerWriter<lory::v1::Job>* writer) override;
  grpc::Status UpdateJob(grpc::ServerContext*,
                         const lory::v1::UpdateJobRequest* request,
                         lory::v1::Job* response) override;
  grpc::Status PauseJob(grpc::ServerContext*,
                        const lory::v1::JobVerbRequest* request,
                        lory::v1::Job* response) override;
  grpc::Status ResumeJob(grpc::ServerContext*,
                         const lory::v1::JobVerbRequest* request,
                         lory::v1::Job* response) override;
  grpc::Status CancelJob(grpc::ServerContext*,
                         const lory::v1::JobVerbRequest* request,
                         lory::v1::Job* response) override;
  grpc::Status DeleteJob(grpc::ServerContext*,
                         const lory::v1::JobVerbRequest* request,
                         lory::v1::Job* response) override;
  grpc::Status ExplainJob(grpc::ServerContext*,
                          const lory::v1::GetJobRequest* request,
                          lory::v1::ExplainJobResponse* response) override;
  grpc::Status ListJobEvents(
      grpc::ServerContext*, const lory::v1::ListJobEventsRequest* request,
      lory::v1::ListJobEventsResponse* response) override;
  grpc::Status StreamJobLogs(
      grpc::ServerContext* context,
      const lory::v1::StreamJobLogsRequest* request,
      grpc::ServerWriter<lory::v1::LogChunk>* writer) override;

 private:
  absl::Status Watch(grpc::ServerContext& context, const std::string& name,
                     grpc::ServerWriter<lory::v1::Job>& writer);
  absl::Status StreamLogs(grpc::ServerContext& context,
                          const lory::v1::StreamJobLogsRequest& request,
                          grpc::ServerWriter<lory::v1::LogChunk>& writer);

  Coordinator& coordinator_;
  CallObserver* const observer_;
  const rpc::TlsFiles tls_;
  rpc::StreamLimit streams_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_RPC_JOB_SERVICE_H_
