#include "tools/model/eval/choice_scores.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/status_macros.h"
#include "worker/train/torch_guard.h"

namespace lory::eval {
namespace {

using ::lory::config::FeedForwardKind;
using ::lory::model::Pass;
using ::lory::model::Transformer;

// Of those that are finite; -1: none is.
int64_t IndexOfLargest(const std::vector<double>& numbers) {
  int64_t best = -1;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (!std::isfinite(numbers[i])) continue;
    if (best < 0 || numbers[i] > numbers[best]) best = static_cast<int64_t>(i);
  }
  return best;
}

int64_t LikeliestBy(const std::vector<double>& log_likelihoods,
                    const std::vector<int64_t>& sizes) {
  std::vector<double> means = log_likelihoods;
  for (size_t i = 0; i < means.size(); ++i) {
    means[i] /= static_cast<double>(sizes[i]);
  }
  return IndexOfLargest(means);
}

// Log-likelihoods of `choices` after `context`: one row each, filled up at the
// end, which no position before sees.
std::vector<double> ScoreRows(const Transformer& model,
                              const std::vector<int64_t>& context,
                              const std::vector<std::vector<int64_t>>& choices,
                              const Pass& pass) {
  const int64_t rows = static_cast<int64_t>(choices.size());
  const int64_t given = static_cast<int64_t>(context.size());
  size_t longest = 0;
  for (const auto& choice : choices) longest = std::max(longest, choice.size());
  const int64_t length = given + static_cast<int64_t>(longest) - 1;
  std::vector<int64_t> tokens(rows * length, 0);
  std::vector<int64_t> targets(rows * length, -1);
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<int64_t>& choice = choices[row];
    const auto begin = tokens.begin() + row * length;
    std::copy(context.begin(), context.end(), begin);
    std::copy(choice.begin(), choice.end() - 1, begin + given);
    std::copy(choice.begin(), choice.end(),
              targets.begin() + row * length + given - 1);
  }
  const at::Tensor losses_B =
      model
          .TokenLosses(at::tensor(tokens).view({rows, length}),
                       at::tensor(targets).view({rows, length}), pass)
          .to(at::kDouble)
          .sum(1);
  std::vector<double> log_likelihoods;
  for (int64_t row = 0; row < rows; ++row) {
    log_likelihoods.push_back(-losses_B[row].item<double>());
  }
  return log_likelihoods;
}

ItemScores ScoreItem(const Transformer& model, const ChoiceItem& item,
                     const EncodedItem& encoded, Inference inference) {
  const bool is_lory = model.shape().feed_forward == FeedForwardKind::kLory;
  const Pass pass = {
      .prompt_length = static_cast<int64_t>(encoded.context.size()),
      .one_segment = is_lory && inference == Inference::kPrompt};
  ItemScores scores{.item = &item, .bytes = encoded.bytes};
  scores.log_likelihoods =
      ScoreRows(model, encoded.context, encoded.choices, pass);
  for (const auto& choice : encoded.choices) {
    scores.tokens.push_back(static_cast<int64_t>(choice.size()));
  }
  return scores;
}

Accuracy AccuracyOf(int64_t right, int64_t count) {
  const double n = static_cast<double>(count);
  Accuracy accuracy{.mean = static_cast<double>(right) / n};
  if (count > 1) {
    accuracy.standard_error =
        std::sqrt(accuracy.mean * (1 - accuracy.mean) / (n - 1));
  }
  return accuracy;
}

struct Counts {
  TaskFigures figures;
  int64_t raw = 0;
  int64_t by_byte = 0;
  int64_t by_token = 0;
};

}  // namespace

std::string NameOf(Inference inference) {
  return inference == Inference::kPrompt ? "prompt" : "segment";
}

int64_t ItemScores::Likeliest() const {
  return IndexOfLargest(log_likelihoods);
}

int64_t ItemScores::LikeliestByByte() const {
  return LikeliestBy(log_likelihoods, bytes);
}

int64_t ItemScores::LikeliestByToken() const {
  return LikeliestBy(log_likelihoods, tokens);
}

absl::StatusOr<std::vector<ItemScores>> ScoreItems(
    const Transformer& model, const std::vector<ChoiceItem>& items,
    const std::vector<EncodedItem>& encoded, Inference inference,
    Progress& progress) {
  std::vector<ItemScores> scores;
  for (size_t i = 0; i < items.size(); ++i) {
    LORY_RETURN_IF_ERROR(lory::train::GuardTorch("scoring", [&] {
      scores.push_back(ScoreItem(model, items[i], encoded[i], inference));
    }));
    progress.Advance(1);
  }
  return scores;
}

std::vector<TaskFigures> SummariseTasks(const std::vector<ItemScores>& scores) {
  std::vector<Counts> tasks;
  for (const ItemScores& each : scores) {
    auto found =
        std::find_if(tasks.begin(), tasks.end(), [&](const Counts& counts) {
          return counts.figures.task == each.item->task;
        });
    if (found == tasks.end()) {
      tasks.push_back({.figures = {.task = each.item->task}});
      found = tasks.end() - 1;
    }
    ++found->figures.item_count;
    found->figures.chance += 1 / static_cast<double>(each.bytes.size());
    found->figures.unscored_count += each.Likeliest() < 0 ? 1 : 0;
    const int64_t answer = each.item->answer;
    found->raw += each.Likeliest() == answer ? 1 : 0;
    found->by_byte += each.LikeliestByByte() == answer ? 1 : 0;
    found->by_token += each.LikeliestByToken() == answer ? 1 : 0;
  }
  std::vector<TaskFigures> figures;
  for (Counts& counts : tasks) {
    TaskFigures& task = counts.figures;
    task.chance /= static_cast<double>(task.item_count);
    task.raw = AccuracyOf(counts.raw, task.item_count);
    task.by_byte = AccuracyOf(counts.by_byte, task.item_count);
    task.by_token = AccuracyOf(counts.by_token, task.item_count);
    figures.push_back(std::move(task));
  }
  return figures;
}

}  // namespace lory::eval
