#ifndef LORY_COMMON_METRICS_PROCESS_METRICS_H_
#define LORY_COMMON_METRICS_PROCESS_METRICS_H_

#include <prometheus/metric_family.h>

#include <vector>

namespace lory::metrics {

// The process_* family that every Prometheus client offers, read from /proc
// now. What cannot be read is left out.
std::vector<prometheus::MetricFamily> ProcessMetrics();

}  // namespace lory::metrics

#endif  // LORY_COMMON_METRICS_PROCESS_METRICS_H_
