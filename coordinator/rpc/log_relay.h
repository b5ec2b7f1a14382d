#ifndef LORY_COORDINATOR_RPC_LOG_RELAY_H_
#define LORY_COORDINATOR_RPC_LOG_RELAY_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <atomic>

#include "absl/status/status.h"
#include "common/rpc/credentials.h"
#include "coordinator/engine/coordinator.h"
#include "lory/v1/job.pb.h"

namespace lory::coordinator {

// Passes the logs of a job's trainers on, from all its workers at once. Blocks
// until all have ended, the caller leaves or `stopping`.
//
// NOT_FOUND: no such job. UNAVAILABLE: no worker's log can be reached.
absl::Status RelayLogs(Coordinator& coordinator, const rpc::TlsFiles& tls,
                       const std::atomic<bool>& stopping,
                       grpc::ServerContext& context,
                       const lory::v1::StreamJobLogsRequest& request,
                       grpc::ServerWriter<lory::v1::LogChunk>& writer);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_RPC_LOG_RELAY_H_
