#ifndef LORY_TOOLS_MODEL_EVAL_MEASURE_TEXT_H_
#define LORY_TOOLS_MODEL_EVAL_MEASURE_TEXT_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/model/eval/loss_sums.h"
#include "tools/model/eval/routing_meter.h"
#include "tools/model/eval/text_set.h"
#include "tools/model/eval/token_table.h"
#include "worker/model/transformer.h"

namespace lory::eval {

struct TextOptions {
  // Positions of a window, from the first, that `rest` leaves out.
  int64_t first_segment = 0;
  int64_t utilisation_window = 0;  // see RoutingMeter
  // Bytes of text of each token; empty: not known.
  std::vector<int64_t> token_bytes;
};

struct TextFigures {
  LossSums all;
  // Without the first segment's positions.
  LossSums rest;
  std::optional<RoutingMeter> routing;  // of a model with experts
};

// What `model` makes of `text`: each window by itself. Advances `progress` by
// the tokens read. `tokens`, if not null, records where each token went.
//
// Errors of TextSet::read; RESOURCE_EXHAUSTED: no memory.
absl::StatusOr<TextFigures> MeasureText(const lory::model::Transformer& model,
                                        const TextSet& text,
                                        const TextOptions& options,
                                        TokenTable* tokens, Progress& progress);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_MEASURE_TEXT_H_
