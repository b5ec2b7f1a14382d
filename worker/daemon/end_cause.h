#ifndef LORY_WORKER_DAEMON_END_CAUSE_H_
#define LORY_WORKER_DAEMON_END_CAUSE_H_

#include "absl/strings/string_view.h"

namespace lory::daemon {

// How a trainer came to its end; the label of a metric.
enum class EndCause { kOrdered, kExit, kSignal, kHang, kStart };
absl::string_view NameOf(EndCause cause);

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_END_CAUSE_H_
