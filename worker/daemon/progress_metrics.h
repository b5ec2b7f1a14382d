#ifndef LORY_WORKER_DAEMON_PROGRESS_METRICS_H_
#define LORY_WORKER_DAEMON_PROGRESS_METRICS_H_

#include <string>

#include "common/metrics/metrics.h"
#include "lory/v1/job.pb.h"

// What the trainers of a job say together, as metrics with the label `job`.
namespace lory::daemon {

// Series for every expert of every layer are shown up to this many; beyond,
// only what is summed over experts.
inline constexpr int kMaxExpertSeries = 512;

// The same for every expert of every layer on every domain, of which there are
// domains x layers x experts; beyond, their means over layers.
inline constexpr int kMaxDomainExpertSeries = 2048;

void DeclareProgress(metrics::Registry& registry);

void SetProgress(const std::string& job, const lory::v1::JobProgress& progress,
                 metrics::Registry& registry);

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_PROGRESS_METRICS_H_
