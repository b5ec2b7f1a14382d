#ifndef LORY_TESTS_SUPPORT_FAKE_CLOCK_H_
#define LORY_TESTS_SUPPORT_FAKE_CLOCK_H_

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace lory::testing {

// A clock that stands still until the test moves it; sleeping moves it too.
// Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::FromUnixSeconds(1'000'000))
      : now_(start) {}

  absl::Time MonotonicNow() override;
  absl::Time WallNow() override;
  void SleepFor(absl::Duration duration) override;

  void Advance(absl::Duration duration);

 private:
  Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_FAKE_CLOCK_H_
