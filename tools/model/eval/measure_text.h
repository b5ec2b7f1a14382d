#ifndef LORY_TOOLS_MODEL_EVAL_MEASURE_TEXT_H_
#define LORY_TOOLS_MODEL_EVAL_MEASURE_TEXT_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "common/text/tokenizer.h"
#include "tools/model/eval/loss_sums.h"
#include "tools/model/eval/routing_meter.h"
#include "tools/model/eval/text_set.h"
#include "tools/model/eval/token_table.h"
#include "worker/model/transformer.h"

namespace lory::eval {

// Bytes of text that each token stands for; empty: not known.
struct TokenBytes {
  std::vector<int64_t> inside;  // a document
  // At the begin of one, where some tokenizers put a space that is none of the
  // text; of the same length.
  std::vector<int64_t> at_begin;
  int64_t end_of_document = -1;  // behind it another begins; -1: none

  int64_t Of(int64_t token, int64_t before) const {
    return (before == end_of_document ? at_begin : inside)[token];
  }
};

// What ends a document is none of its text.
TokenBytes BytesOfTokens(const lory::text::Tokenizer& tokenizer);

struct TextOptions {
  // Positions of a window, from the first, that `rest` leaves out.
  int64_t first_segment = 0;
  int64_t utilisation_window = 0;  // see RoutingMeter
  TokenBytes token_bytes;
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
