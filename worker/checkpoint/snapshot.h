#ifndef LORY_WORKER_CHECKPOINT_SNAPSHOT_H_
#define LORY_WORKER_CHECKPOINT_SNAPSHOT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "common/io/safetensors.h"
#include "worker/model/parameter_store.h"

namespace lory::checkpoint {

// Copies of tensors in memory of their own, so that training goes on while
// they are written. The memory is kept for the next snapshot: touching it for
// the first time costs more than the copy. Thread-compatible.
class Snapshot {
 public:
  // Replaces what was held by copies of `tensors` (contiguous, on the CPU).
  // RESOURCE_EXHAUSTED: no memory.
  absl::Status Take(const lory::model::NamedTensors& tensors);

  // What was taken, for io::WriteSafetensors; valid until the next Take.
  const std::vector<lory::io::TensorToWrite>& tensors() const {
    return tensors_;
  }
  int64_t bytes() const { return used_; }

 private:
  std::unique_ptr<std::byte[]> memory_;
  int64_t capacity_ = 0;
  int64_t used_ = 0;
  std::vector<lory::io::TensorToWrite> tensors_;
};

// The safetensors description of a tensor. INVALID_ARGUMENT: a type that no
// checkpoint has.
absl::StatusOr<lory::io::TensorInfo> Describe(const std::string& name,
                                              const at::Tensor& tensor);

}  // namespace lory::checkpoint

#endif  // LORY_WORKER_CHECKPOINT_SNAPSHOT_H_
