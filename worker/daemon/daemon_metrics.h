#ifndef LORY_WORKER_DAEMON_DAEMON_METRICS_H_
#define LORY_WORKER_DAEMON_DAEMON_METRICS_H_

#include <set>
#include <string>

#include "common/base/mutex.h"
#include "common/metrics/metrics.h"
#include "worker/daemon/commit_client.h"
#include "worker/daemon/coordinator_session.h"
#include "worker/daemon/trainer_table.h"

namespace lory::daemon {

// All metrics of a daemon and of its trainers. What trainers say is read from
// the table when somebody asks for the page, so series come and go with them.
// What all ranks say alike is shown by the daemon of rank 0 only: sums over
// workers count it once. Thread-safe.
class DaemonMetrics {
 public:
  DaemonMetrics(const TrainerTable& table, const CoordinatorSession& session,
                int32_t slot_count);

  void CountEnd(EndCause cause);
  void CountPart(PartFate fate);

  // The page at /metrics.
  std::string Serialize();

  const metrics::Registry& registry() const { return registry_; }

 private:
  void SetDaemon();
  void SetTrainer(const TrainerTable::Snapshot& snapshot);

  const TrainerTable& table_;
  const CoordinatorSession& session_;
  const int32_t slot_count_;
  metrics::Registry registry_;

  Mutex mutex_;                                         // one page at a time
  std::set<std::string> jobs_ ABSL_GUARDED_BY(mutex_);  // of the last page
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_DAEMON_METRICS_H_
