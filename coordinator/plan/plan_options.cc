#include "coordinator/plan/plan_options.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace lory::coordinator {
namespace {

struct Limit {
  absl::string_view flag;
  absl::Duration value;
};

absl::Status CheckLess(const Limit& less, const Limit& more) {
  if (less.value < more.value) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      less.flag, " (", absl::FormatDuration(less.value), ") must be below ",
      more.flag, " (", absl::FormatDuration(more.value), ")"));
}

}  // namespace

absl::Status CheckPlanOptions(const PlanOptions& options) {
  const Limit zero{"0", absl::ZeroDuration()};
  const Limit heartbeat{"--heartbeat", options.heartbeat};
  const Limit lease{"--lease", options.lease};
  const Limit collective{"--collective-timeout", options.collective_timeout};
  const Limit hang{"--hang-limit", options.hang_limit};
  const Limit prepare{"--prepare-limit", options.prepare_limit};
  const Limit round{"--round-seconds", options.round_length};
  LORY_RETURN_IF_ERROR(CheckLess(zero, heartbeat));
  LORY_RETURN_IF_ERROR(CheckLess(heartbeat, lease));
  LORY_RETURN_IF_ERROR(CheckLess(lease, collective));
  LORY_RETURN_IF_ERROR(CheckLess(collective, hang));
  LORY_RETURN_IF_ERROR(CheckLess(heartbeat, prepare));
  return CheckLess(zero, round);
}

}  // namespace lory::coordinator
