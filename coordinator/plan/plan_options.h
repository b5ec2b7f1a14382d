#ifndef LORY_COORDINATOR_PLAN_PLAN_OPTIONS_H_
#define LORY_COORDINATOR_PLAN_PLAN_OPTIONS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "coordinator/state/coordinator_state.h"
#include "coordinator/state/sessions.h"

namespace lory::coordinator {

// Every limit of the protocol, in the order they must have.
struct PlanOptions {
  // Terms of a session, told to daemons.
  absl::Duration heartbeat = absl::Seconds(1);
  absl::Duration lease = absl::Seconds(5);
  absl::Duration collective_timeout = absl::Seconds(20);
  absl::Duration hang_limit = absl::Seconds(60);

  // Members that do not answer PREPARE for so long are left out.
  absl::Duration prepare_limit = absl::Seconds(10);
  // How long a round should last.
  absl::Duration round_length = absl::Seconds(60);

  // A broken collective without a culprit: wait so long for the exit report
  // that explains it before asking everyone again.
  absl::Duration suspicion = absl::Milliseconds(300);
  // Joiners of about the same time are taken in together.
  absl::Duration join_wait = absl::Seconds(3);
  // How long smaller jobs may pass one that waits for more slots.
  absl::Duration backfill_limit = absl::Minutes(10);
  // After a restart, how long a member's report must have stood before what it
  // says about rounds is believed: trainers report four times a second.
  absl::Duration settle = absl::Milliseconds(500);

  int64_t first_round_steps = 8;
  int exit_limit = 5;
};

// INVALID_ARGUMENT names the two limits that contradict each other, by the
// flags that set them.
absl::Status CheckPlanOptions(const PlanOptions& options);

// What every plan looks at.
struct View {
  absl::Time now;  // monotonic
  const CoordinatorState& state;
  const Sessions& sessions;
  const PlanOptions& options;
};

// Events to append, and what was decided, for people. Nothing is done yet.
struct Plan {
  std::vector<lory::internal::v1::JournalRecord> events;
  std::string reason;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_PLAN_OPTIONS_H_
