#ifndef LORY_TOOLS_MODEL_EVAL_CHOICE_SCORES_H_
#define LORY_TOOLS_MODEL_EVAL_CHOICE_SCORES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/model/eval/choice_items.h"
#include "worker/model/transformer.h"

namespace lory::eval {

// How a model with experts answers. In both the context alone decides what
// would otherwise look ahead: see Pass::prompt_length.
enum class Inference {
  kPrompt,   // of Lory: experts merged once, by the context; then dense
  kSegment,  // segments routed as in training
};

// "prompt" or "segment".
std::string NameOf(Inference inference);

// The log-likelihoods of an item's choices after its context, in nats.
struct ItemScores {
  const ChoiceItem* item = nullptr;
  std::vector<double> log_likelihoods;
  std::vector<int64_t> tokens;  // of each choice
  std::vector<int64_t> bytes;

  // The choice that is likeliest, of equals the first: as a whole, by byte, by
  // token. Only a finite number wins; -1: there is none, the model is broken.
  int64_t Likeliest() const;
  int64_t LikeliestByByte() const;
  int64_t LikeliestByToken() const;
};

// Scores `items`, which must outlive the result, `encoded` for `model`;
// advances `progress` by one for each. RESOURCE_EXHAUSTED: no memory.
absl::StatusOr<std::vector<ItemScores>> ScoreItems(
    const lory::model::Transformer& model, const std::vector<ChoiceItem>& items,
    const std::vector<EncodedItem>& encoded, Inference inference,
    Progress& progress);

struct Accuracy {
  double mean = 0;
  // Of the mean, were the items drawn at random; none of a single one.
  std::optional<double> standard_error;
};

struct TaskFigures {
  std::string task;
  int64_t item_count = 0;
  // Of them without any finite log-likelihood; they count as wrong.
  int64_t unscored_count = 0;
  double chance = 0;  // accuracy of choosing blindly
  Accuracy raw;
  Accuracy by_byte;
  Accuracy by_token;
};

// By task, in the order in which tasks first come.
std::vector<TaskFigures> SummariseTasks(const std::vector<ItemScores>& scores);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_CHOICE_SCORES_H_
