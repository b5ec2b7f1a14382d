#ifndef LORY_TESTS_SUPPORT_TENSOR_MEMORY_H_
#define LORY_TESTS_SUPPORT_TENSOR_MEMORY_H_

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace lory::testing {

// Bytes of the CPU tensors that this thread makes while one of these lives;
// memory that is no tensor's, such as a kernel's scratch, is not counted. Of
// one thread, which also ends it; one at a time.
class TensorMemory {
 public:
  TensorMemory()
      : count_(std::make_shared<Count>()),
        guard_(c10::DebugInfoKind::PROFILER_STATE, count_) {}

  int64_t live() const { return count_->live; }
  // The most there was since the last call of Restart.
  int64_t peak() const { return count_->peak; }
  void Restart() { count_->peak = count_->live; }

 private:
  struct Count final : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, int64_t bytes, size_t, size_t,
                           c10::Device) override {
      live += bytes;
      peak = std::max(peak, live);
    }
    bool memoryProfilingEnabled() const override { return true; }

    int64_t live = 0;
    int64_t peak = 0;
  };

  const std::shared_ptr<Count> count_;
  const c10::DebugInfoGuard guard_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_TENSOR_MEMORY_H_
