#include "worker/daemon/end_cause.h"

namespace lory::daemon {

absl::string_view NameOf(EndCause cause) {
  switch (cause) {
    case EndCause::kOrdered:
      return "ordered";
    case EndCause::kExit:
      return "exit";
    case EndCause::kSignal:
      return "signal";
    case EndCause::kHang:
      return "hang";
    case EndCause::kStart:
      return "start";
  }
  return "unknown";
}

}  // namespace lory::daemon
