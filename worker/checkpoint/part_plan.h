#ifndef LORY_WORKER_CHECKPOINT_PART_PLAN_H_
#define LORY_WORKER_CHECKPOINT_PART_PLAN_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

// Which rank writes what of a checkpoint, and under which names.
namespace lory::checkpoint {

struct TensorSize {
  std::string name;
  int64_t bytes = 0;
};

// The part, 0 to part_count - 1, of each tensor: in order of name, cut so that
// parts are as equal as whole tensors allow. Pure; every rank computes the
// same.
std::vector<int> AssignParts(std::span<const TensorSize> tensors,
                             int part_count);

// Names beneath <job folder>/checkpoints/.
std::string FolderName(int64_t step, int64_t generation);
std::string PartFileName(int index, int count);

}  // namespace lory::checkpoint

#endif  // LORY_WORKER_CHECKPOINT_PART_PLAN_H_
