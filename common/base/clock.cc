#include "common/base/clock.h"

#include <chrono>
#include <thread>

#include "absl/time/clock.h"

namespace lory {
namespace {

class SystemClock final : public Clock {
 public:
  absl::Time MonotonicNow() override {
    return absl::UnixEpoch() +
           absl::FromChrono(
               std::chrono::steady_clock::now().time_since_epoch());
  }
  absl::Time WallNow() override { return absl::Now(); }
  void SleepFor(absl::Duration duration) override {
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(duration));
  }
};

}  // namespace

Clock& RealClock() {
  static SystemClock* const clock = new SystemClock;
  return *clock;
}

}  // namespace lory
