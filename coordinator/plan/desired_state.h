#ifndef LORY_COORDINATOR_PLAN_DESIRED_STATE_H_
#define LORY_COORDINATOR_PLAN_DESIRED_STATE_H_

#include <string>

#include "coordinator/plan/plan_options.h"

namespace lory::coordinator {

// All that `worker` should be running now; the version is left at 0.
// `storage_root`: where job folders lie.
lory::v1::DesiredState PlanDesiredState(const View& view,
                                        const std::string& worker,
                                        const std::string& storage_root);

// Folder of a job: <storage root>/jobs/<job>.
std::string JobFolder(const std::string& storage_root, const std::string& job);

// Whether `path` is `folder` or lies in it.
bool IsWithin(const std::string& path, const std::string& folder);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_DESIRED_STATE_H_
