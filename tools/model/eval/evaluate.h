#ifndef LORY_TOOLS_MODEL_EVAL_EVALUATE_H_
#define LORY_TOOLS_MODEL_EVAL_EVALUATE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "common/base/progress.h"
#include "common/text/tokenizer.h"
#include "tools/model/eval/evaluation.h"
#include "tools/model/eval/text_set.h"
#include "worker/model/transformer.h"

namespace lory::eval {

// What to measure.
struct Request {
  std::vector<TextSet> texts;
  int64_t first_segment = 0;
  int64_t utilisation_window = 0;
  // Null: no items, no bits per byte, and tokens have no text.
  const lory::text::Tokenizer* tokenizer = nullptr;
  int64_t marked_tokens = 0;  // of each expert, of a token-level variant
  std::vector<ChoiceItem> items;
  // Of a Lory model; others are asked once.
  std::vector<Inference> inferences;
};

// Measures `model` and fills in `evaluation` all that is not said by its
// checkpoint. What cannot be is found before anything is measured.
//
// INVALID_ARGUMENT: as EncodeItem. DATA_LOSS: the dataset is damaged.
// RESOURCE_EXHAUSTED: no memory.
absl::Status Evaluate(const lory::model::Transformer& model,
                      const Request& request, Progress& progress,
                      Evaluation& evaluation);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_EVALUATE_H_
