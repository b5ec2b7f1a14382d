#include "tools/model/eval/evaluate.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "tools/model/eval/measure_text.h"
#include "tools/model/eval/variant_facts.h"

namespace lory::eval {
namespace {

using ::lory::config::FeedForwardKind;
using ::lory::config::ModelShape;
using ::lory::model::Transformer;

// "1 text", "2 texts".
std::string Counted(size_t count, absl::string_view what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

std::string VariantOf(const Transformer& model) {
  const ModelShape& shape = model.shape();
  if (model.is_dense_phase()) return "dense, before it has experts";
  if (shape.expert_count == 0) return "dense";
  const auto* field =
      lory::v1::FeedForwardSpec::descriptor()->FindFieldByNumber(
          shape.feed_forward);
  return absl::StrCat(field->name(), ", ", shape.feed_forward_summary);
}

void Describe(const Transformer& model, const Request& request,
              Evaluation& evaluation) {
  const ModelShape& shape = model.shape();
  evaluation.variant = VariantOf(model);
  evaluation.parameter_count = lory::config::ParameterCount(shape);
  evaluation.active_parameter_count = lory::config::ActiveParameterCount(shape);
  evaluation.layer_count = shape.layer_count;
  evaluation.expert_count = shape.expert_count;
  evaluation.facts = FactsOf(shape);
  evaluation.first_segment = request.first_segment;
  evaluation.utilisation_window = request.utilisation_window;
}

void MarkTokens(const TokenTable& table, const Request& request,
                Evaluation& evaluation) {
  for (int64_t layer = 0; layer < evaluation.layer_count; ++layer) {
    for (int64_t expert = 0; expert < evaluation.expert_count; ++expert) {
      for (const TokenShare& share :
           table.Top(layer, expert, request.marked_tokens)) {
        std::string text;
        if (request.tokenizer != nullptr) {
          text =
              request.tokenizer->TokenText(static_cast<int32_t>(share.token));
        }
        evaluation.tokens.push_back({layer, expert, share, std::move(text)});
      }
    }
  }
}

absl::Status MeasureTexts(const Transformer& model, const Request& request,
                          Progress& progress, Evaluation& evaluation) {
  int64_t tokens = 0;
  for (const TextSet& text : request.texts) {
    tokens += text.window_count * text.window;
  }
  TextOptions options{.first_segment = request.first_segment,
                      .utilisation_window = request.utilisation_window};
  if (request.tokenizer != nullptr) {
    options.token_bytes = BytesOfTokens(*request.tokenizer);
  }
  std::optional<TokenTable> table;
  if (evaluation.facts.unit == Unit::kToken && request.marked_tokens > 0) {
    table.emplace(model.shape());
  }
  progress.Start("text", tokens);
  for (const TextSet& text : request.texts) {
    LORY_ASSIGN_OR_RETURN(
        TextFigures figures,
        MeasureText(model, text, options, table ? &*table : nullptr, progress));
    if (figures.routing) {
      if (!evaluation.routing) {
        evaluation.routing.emplace(model.shape(), request.utilisation_window);
      }
      evaluation.routing->Add(*figures.routing);
    }
    evaluation.texts.push_back({.name = text.name,
                                .is_file = text.is_file,
                                .kept_out = text.kept_out,
                                .window = text.window,
                                .stride = text.stride,
                                .figures = std::move(figures)});
  }
  progress.Finish(Counted(request.texts.size(), "text"));
  if (table) MarkTokens(*table, request, evaluation);
  return absl::OkStatus();
}

absl::Status MeasureTasks(const Transformer& model, const Request& request,
                          const std::vector<EncodedItem>& encoded,
                          Progress& progress, Evaluation& evaluation) {
  evaluation.items = request.items;
  const bool is_lory = model.shape().feed_forward == FeedForwardKind::kLory;
  std::vector<Inference> inferences = {Inference::kSegment};
  if (is_lory) inferences = request.inferences;
  for (const Inference inference : inferences) {
    progress.Start("tasks", static_cast<int64_t>(encoded.size()));
    TaskRun run;
    if (is_lory) run.inference = inference;
    LORY_ASSIGN_OR_RETURN(run.scores, ScoreItems(model, evaluation.items,
                                                 encoded, inference, progress));
    run.tasks = SummariseTasks(run.scores);
    progress.Finish(absl::StrCat(
        Counted(encoded.size(), "item"),
        is_lory ? absl::StrCat(", ", NameOf(inference)) : std::string()));
    evaluation.runs.push_back(std::move(run));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Evaluate(const Transformer& model, const Request& request,
                      Progress& progress, Evaluation& evaluation) {
  Describe(model, request, evaluation);
  std::vector<EncodedItem> encoded;
  if (!request.items.empty()) {
    LORY_ASSIGN_OR_RETURN(encoded,
                          EncodeItems(*request.tokenizer, request.items,
                                      model.shape().sequence_length));
  }
  if (!request.texts.empty()) {
    LORY_RETURN_IF_ERROR(MeasureTexts(model, request, progress, evaluation));
  }
  if (!encoded.empty()) {
    LORY_RETURN_IF_ERROR(
        MeasureTasks(model, request, encoded, progress, evaluation));
  }
  return absl::OkStatus();
}

}  // namespace lory::eval
