#ifndef LORY_WORKER_OPTIM_SCHEDULE_H_
#define LORY_WORKER_OPTIM_SCHEDULE_H_

#include <cstdint>

#include "lory/v1/model.pb.h"

namespace lory::optim {

// Learning rate of update `step`, counted from 0, of `total_steps`: a linear
// climb over the first warmup_fraction of the steps (rounded to the nearest, at
// least one), to the peak in its last step; then half a cosine down to
// final_fraction of the peak in the last step. Steps past the end keep that.
// One schedule for both phases: nothing restarts when the experts begin.
//
// Pure. `spec` must be valid.
double LearningRate(const lory::v1::OptimizerSpec& spec, int64_t step,
                    int64_t total_steps);

// Steps in which the rate climbs.
int64_t WarmupStepCount(const lory::v1::OptimizerSpec& spec,
                        int64_t total_steps);

}  // namespace lory::optim

#endif  // LORY_WORKER_OPTIM_SCHEDULE_H_
