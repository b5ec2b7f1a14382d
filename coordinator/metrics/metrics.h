#ifndef LORY_COORDINATOR_METRICS_METRICS_H_
#define LORY_COORDINATOR_METRICS_METRICS_H_

#include <map>
#include <string>

#include "common/metrics/metrics.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/rpc/call.h"

namespace lory::coordinator {

// Every metric of lory-coordinator. Thread-safe.
class CoordinatorMetrics final : public EngineObserver, public CallObserver {
 public:
  CoordinatorMetrics();

  // ---- EngineObserver, CallObserver ----
  void Appended(absl::Duration took,
                std::span<const Journal::Record> records) override;
  void Answered(absl::string_view method, grpc::StatusCode code) override;

  // The page at /metrics, with the gauges of `snapshot`.
  std::string Serialize(const Snapshot& snapshot);

 private:
  void SetJob(const lory::v1::Job& job);

  void NoteRecovery(const Journal::Record& record);

  metrics::Registry registry_;
  // When each job's open fault was noticed. Only touched by Appended, which
  // the coordinator's lock serialises.
  std::map<std::string, absl::Time> faults_;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_METRICS_METRICS_H_
