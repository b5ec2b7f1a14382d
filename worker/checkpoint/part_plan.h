#ifndef LORY_WORKER_CHECKPOINT_PART_PLAN_H_
#define LORY_WORKER_CHECKPOINT_PART_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

// Which rank writes what of a checkpoint, and under which names.
namespace lory::checkpoint {

struct TensorSize {
  std::string name;
  int64_t bytes = 0;
  int64_t rows = 1;  // of the first dimension; where it may be cut
};

// Rows [first_row, end_row) of a tensor, all of them unless it was cut.
struct Piece {
  size_t tensor = 0;
  int part = 0;
  int64_t first_row = 0;
  int64_t end_row = 0;
};

// What goes to which part, 0 to part_count - 1: in order of name, cut so that
// parts are about equal. A tensor that fits into an equal share stays whole; a
// larger one, such as a stack of experts, is cut between rows. Pure; every rank
// computes the same.
std::vector<Piece> AssignParts(std::span<const TensorSize> tensors,
                               int part_count);

// Names beneath <job folder>/checkpoints/.
std::string FolderName(int64_t step, int64_t generation);
std::string PartFileName(int index, int count);

}  // namespace lory::checkpoint

#endif  // LORY_WORKER_CHECKPOINT_PART_PLAN_H_
