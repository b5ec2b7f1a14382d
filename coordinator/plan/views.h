#ifndef LORY_COORDINATOR_PLAN_VIEWS_H_
#define LORY_COORDINATOR_PLAN_VIEWS_H_

#include <string>

#include "coordinator/plan/plan_options.h"
#include "lory/v1/job.pb.h"
#include "lory/v1/worker.pb.h"

// Resources as people see them, from what is promised and what is known.
namespace lory::coordinator {

// `live_reason`: why the job is where it is at this moment; empty: as the
// journal says.
lory::v1::Job BuildJob(const View& view, const JobState& job,
                       const std::string& live_reason);

// A worker that attends, did, or is told to drain.
lory::v1::Worker BuildWorker(const View& view, const std::string& name);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_VIEWS_H_
