#ifndef LORY_WORKER_TRAIN_WARM_UP_H_
#define LORY_WORKER_TRAIN_WARM_UP_H_

#include <functional>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "worker/train/job_context.h"

namespace lory::train {

// Runs one micro-batch forward and backward on a blank model and forgets both,
// so that a joiner's first step is not its peers' wait: threads are started,
// kernels chosen, memory has been asked for and the shards are open in fact.
// Touches nothing that training uses but the loader, which every round starts
// anew. `progress` as in AccumulateGradient.
//
// RESOURCE_EXHAUSTED: no memory for this job.
absl::Status WarmUp(JobContext& job, Clock& clock,
                    const std::function<void()>& progress);

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_WARM_UP_H_
