#ifndef LORY_TOOLS_MODEL_EVAL_EVALUATION_H_
#define LORY_TOOLS_MODEL_EVAL_EVALUATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/model/eval/choice_scores.h"
#include "tools/model/eval/loss_sums.h"
#include "tools/model/eval/measure_text.h"
#include "tools/model/eval/routing_meter.h"
#include "tools/model/eval/token_table.h"
#include "tools/model/eval/variant_facts.h"

namespace lory::eval {

// One domain of the dataset's held-out text, or one file.
struct TextRow {
  std::string name;
  bool is_file = false;
  bool kept_out = false;
  int64_t window = 0;
  int64_t stride = 0;
  TextFigures figures;
};

// All tasks in one kind of inference; without one where the model knows one
// only.
struct TaskRun {
  std::optional<Inference> inference;
  std::vector<ItemScores> scores;  // of Evaluation::items
  std::vector<TaskFigures> tasks;
};

// A token that marks an expert, as text.
struct MarkedToken {
  int64_t layer = 0;
  int64_t expert = 0;
  TokenShare share;
  std::string text;
};

// All that was found of one checkpoint.
struct Evaluation {
  std::string checkpoint;  // the folder's name
  std::string job;
  int64_t step = 0;
  std::string variant;  // "lory: 8 experts, segments of 64"
  int64_t parameter_count = 0;
  int64_t active_parameter_count = 0;
  int64_t layer_count = 0;
  int64_t expert_count = 0;
  VariantFacts facts;

  std::string dataset;        // its name; empty: none
  int64_t first_segment = 0;  // positions that "rest" leaves out
  int64_t utilisation_window = 0;
  std::vector<TextRow> texts;
  // Of all texts together; of a model with experts.
  std::optional<RoutingMeter> routing;
  std::vector<MarkedToken> tokens;  // by layer and expert

  std::vector<ChoiceItem> items;
  std::vector<TaskRun> runs;
};

// A sum over rows, such as all domains that were trained.
struct TextTotal {
  std::string name;
  LossSums all;
  LossSums rest;
};

// "all domains", "kept-out domains", "all files": those that sum something up.
// A domain that was kept out of training is in no other total.
std::vector<TextTotal> TotalsOf(const Evaluation& evaluation);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_EVALUATION_H_
