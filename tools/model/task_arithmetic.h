#ifndef LORY_TOOLS_MODEL_TASK_ARITHMETIC_H_
#define LORY_TOOLS_MODEL_TASK_ARITHMETIC_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/model/transformer.h"

namespace lory::surgery {

// Task arithmetic (Ilharco et al., ICLR 2023, arXiv 2212.04089): a fine-tuned
// model less its base is a vector; such vectors can be added to the base and
// taken from it. Sums are in double, rounded once at the end, so that the order
// of the models does not show. Thread-compatible.
//
//   auto sum = TaskArithmetic::Start(*base);
//   LORY_RETURN_IF_ERROR(sum->Add(*tuned, 1));    // -1: forget it
//   auto merged = sum->Finish(0.5);
class TaskArithmetic {
 public:
  // `base` must outlive the sum. RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<TaskArithmetic>> Start(
      const lory::model::Transformer& base);

  // Adds scale * (tuned - base). INVALID_ARGUMENT: `tuned` has other tensors
  // than the base; names the first.
  absl::Status Add(const lory::model::Transformer& tuned, double scale);

  // A model of the base's kind whose weights are the base's and `scale` times
  // what was added.
  absl::StatusOr<std::unique_ptr<lory::model::Transformer>> Finish(
      double scale = 1) const;

 private:
  explicit TaskArithmetic(const lory::model::Transformer& base) : base_(base) {}

  const lory::model::Transformer& base_;
  at::Tensor change_;  // flat, double, as the base's parameters
};

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_TASK_ARITHMETIC_H_
