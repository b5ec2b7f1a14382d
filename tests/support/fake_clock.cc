#include "tests/support/fake_clock.h"

namespace lory::testing {

absl::Time FakeClock::MonotonicNow() {
  MutexLock lock(&mutex_);
  return now_;
}

absl::Time FakeClock::WallNow() { return MonotonicNow(); }

void FakeClock::SleepFor(absl::Duration duration) { Advance(duration); }

void FakeClock::Advance(absl::Duration duration) {
  MutexLock lock(&mutex_);
  now_ += duration;
}

}  // namespace lory::testing
