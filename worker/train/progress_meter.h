#ifndef LORY_WORKER_TRAIN_PROGRESS_METER_H_
#define LORY_WORKER_TRAIN_PROGRESS_METER_H_

#include <cstdint>
#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "lory/v1/job.pb.h"
#include "worker/model/routing_stats.h"
#include "worker/train/expert_use.h"

namespace lory::train {

// What one step was like, as a rank saw it.
struct StepReport {
  absl::Time end;             // by the monotonic clock
  int64_t token_count = 0;    // of all ranks
  int64_t micro_batches = 0;  // of this rank
  lory::v1::StepTimes times;
  lory::model::RoutingStats routing;  // of all ranks
};

// Figures over the last steps. Reads no clock. Thread-compatible.
class ProgressMeter {
 public:
  void Add(StepReport report);
  // Training stood still for something else, such as an evaluation: speed is
  // measured anew.
  void Interrupt();

  // Of all ranks over at most the last ten seconds; 0: unknown yet.
  double tokens_per_second() const;
  // Median of the last steps, without waiting for peers; 0: unknown.
  double micro_batch_seconds() const;
  // Median of whole steps; 0: unknown.
  double step_seconds() const;
  // Sums over the last steps.
  lory::model::RoutingStats routing() const;
  // Over more of them: see there.
  const ExpertUse& expert_use() const { return expert_use_; }

 private:
  std::deque<StepReport> steps_;  // newest last
  ExpertUse expert_use_;
  // End of the last step before those in speed_steps_ of the newest.
  std::optional<absl::Time> speed_start_;
  std::deque<std::pair<absl::Time, int64_t>> speed_;  // ends and tokens
};

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_PROGRESS_METER_H_
