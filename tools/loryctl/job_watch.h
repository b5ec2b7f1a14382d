#ifndef LORY_TOOLS_LORYCTL_JOB_WATCH_H_
#define LORY_TOOLS_LORYCTL_JOB_WATCH_H_

#include <string>

#include "absl/status/status.h"
#include "tools/loryctl/session.h"

namespace lory::ctl {

// Follows a job until it has ended: one line that is redrawn on a terminal, a
// line every few seconds elsewhere. The status says how the job ended: OK,
// or one with the exit code of a failed or cancelled job. A coordinator that
// goes away is waited for.
absl::Status WatchJob(Session& session, const std::string& name);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_JOB_WATCH_H_
