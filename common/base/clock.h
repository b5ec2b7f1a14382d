#ifndef LORY_COMMON_BASE_CLOCK_H_
#define LORY_COMMON_BASE_CLOCK_H_

#include "absl/time/time.h"

namespace lory {

// Where a component gets its time and its sleep from. Passed to constructors,
// so that tests decide when time passes. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Never goes back; for intervals, leases and timeouts. Its origin means
  // nothing outside the process.
  virtual absl::Time MonotonicNow() = 0;

  // Calendar time; for people and for records, never for decisions.
  virtual absl::Time WallNow() = 0;

  // Blocks for `duration`.
  virtual void SleepFor(absl::Duration duration) = 0;
};

// The machine's clock. Lives for ever.
Clock& RealClock();

}  // namespace lory

#endif  // LORY_COMMON_BASE_CLOCK_H_
