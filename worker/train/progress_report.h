#ifndef LORY_WORKER_TRAIN_PROGRESS_REPORT_H_
#define LORY_WORKER_TRAIN_PROGRESS_REPORT_H_

#include "lory/v1/job.pb.h"
#include "worker/train/control_words.h"
#include "worker/train/job_context.h"
#include "worker/train/progress_meter.h"
#include "worker/train/train_step.h"
#include "worker/train/training_state.h"

namespace lory::train {

// What a rank says about the step it has just applied. Pure.
lory::v1::JobProgress DescribeProgress(const JobContext& job,
                                       const TrainingState& state,
                                       const Decision& decision,
                                       const StepResult& result,
                                       const lory::v1::StepTimes& times,
                                       const ProgressMeter& meter);

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_PROGRESS_REPORT_H_
