#ifndef LORY_TOOLS_LORYCTL_STATE_COLOR_H_
#define LORY_TOOLS_LORYCTL_STATE_COLOR_H_

#include "lory/v1/checkpoint.pb.h"
#include "lory/v1/dataset.pb.h"
#include "lory/v1/job.pb.h"
#include "lory/v1/worker.pb.h"
#include "tools/loryctl/table.h"

// The color of a state on a terminal: good, passing, bad, over.
namespace lory::ctl {

Color ColorOf(lory::v1::Job::State state);
Color ColorOf(lory::v1::Worker::State state);
Color ColorOf(lory::v1::Dataset::State state);
Color ColorOf(lory::v1::Checkpoint::State state);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_STATE_COLOR_H_
