#ifndef LORY_TOOLS_MODEL_DIFF_H_
#define LORY_TOOLS_MODEL_DIFF_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/model/transformer.h"

// Where two models differ.
namespace lory::surgery {

struct TensorDifference {
  std::string name;
  // Norm of the difference over the larger of the two norms; NaN where a
  // number is not finite.
  double relative = 0;
  double largest = 0;           // of all differences, absolute
  int64_t differing_count = 0;  // numbers that are not equal, bit for bit
};

struct ModelDifference {
  // All that both have in the same shape; the largest difference first, then by
  // name.
  std::vector<TensorDifference> tensors;
  // "lm_head.weight is [5, 4] here, [6, 4] there", "only the first has ...".
  std::vector<std::string> mismatches;

  bool empty() const;  // nothing differs
};

// RESOURCE_EXHAUSTED: no memory.
absl::StatusOr<ModelDifference> Compare(const lory::model::Transformer& a,
                                        const lory::model::Transformer& b);

// Equal tensors are counted, not listed.
std::string ToText(const ModelDifference& difference);
std::string ToJson(const ModelDifference& difference);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_DIFF_H_
