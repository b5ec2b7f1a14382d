#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/model/eval/report.h"

namespace lory::eval {
namespace {

using nlohmann::ordered_json;

ordered_json ToJson(const LossSums& sums) {
  ordered_json json = {{"tokens", sums.token_count()}};
  if (sums.token_count() == 0) return json;
  json["loss"] = sums.Mean();
  if (sums.window_count() > 1) json["loss_error"] = sums.StandardError();
  json["perplexity"] = sums.Perplexity();
  if (sums.BitsPerByte() > 0) json["bits_per_byte"] = sums.BitsPerByte();
  return json;
}

ordered_json ToJson(const RoutingMeter& meter) {
  ordered_json layers = ordered_json::array();
  for (const RoutingFigures& layer : meter.Figures()) {
    ordered_json json = {{"decisions", layer.decision_count},
                         {"mean_weights", layer.mean_weights},
                         {"entropy", layer.entropy},
                         {"active_share", layer.active_share},
                         {"unrouted_share", layer.unrouted_share},
                         {"load_ratio", layer.load_ratio}};
    if (layer.window_count > 0) {
      json["windows"] = layer.window_count;
      json["active_share_in_window"] = layer.active_share_in_window;
    }
    if (layer.neighbor_count > 0) {
      json["neighbors"] = layer.neighbor_count;
      json["neighbor_cosine"] = layer.neighbor_cosine;
      json["neighbor_agreement"] = layer.neighbor_agreement;
    }
    layers.push_back(std::move(json));
  }
  return layers;
}

ordered_json TextsToJson(const Evaluation& evaluation) {
  ordered_json texts = ordered_json::array();
  for (const TextRow& row : evaluation.texts) {
    ordered_json json = {{"name", row.name},
                         {"kind", row.is_file ? "file" : "domain"},
                         {"kept_out", row.kept_out},
                         {"window", row.window},
                         {"stride", row.stride},
                         {"windows", row.figures.all.window_count()},
                         {"all", ToJson(row.figures.all)},
                         {"rest", ToJson(row.figures.rest)}};
    if (row.figures.routing) json["routing"] = ToJson(*row.figures.routing);
    texts.push_back(std::move(json));
  }
  return texts;
}

ordered_json TokensToJson(const Evaluation& evaluation) {
  ordered_json tokens = ordered_json::array();
  for (const MarkedToken& token : evaluation.tokens) {
    tokens.push_back({{"layer", token.layer},
                      {"expert", token.expert},
                      {"token", token.share.token},
                      {"text", token.text},
                      {"count", token.share.count},
                      {"share", token.share.share},
                      {"lift", token.share.lift}});
  }
  return tokens;
}

ordered_json ToJson(const Accuracy& accuracy) {
  ordered_json json = {{"accuracy", accuracy.mean}};
  if (accuracy.standard_error) json["error"] = *accuracy.standard_error;
  return json;
}

ordered_json TasksToJson(const Evaluation& evaluation) {
  ordered_json tasks = ordered_json::array();
  for (const TaskRun& run : evaluation.runs) {
    for (const TaskFigures& task : run.tasks) {
      ordered_json json = {{"task", task.task}};
      if (run.inference) json["inference"] = NameOf(*run.inference);
      json["items"] = task.item_count;
      if (task.unscored_count > 0) json["unscored"] = task.unscored_count;
      json["chance"] = task.chance;
      json["raw"] = ToJson(task.raw);
      json["by_byte"] = ToJson(task.by_byte);
      json["by_token"] = ToJson(task.by_token);
      tasks.push_back(std::move(json));
    }
  }
  return tasks;
}

}  // namespace

std::string ToJson(const Evaluation& evaluation) {
  ordered_json json = {{"kind", kEvaluationKind},
                       {"version", 1},
                       {"checkpoint", evaluation.checkpoint},
                       {"job", evaluation.job},
                       {"step", evaluation.step},
                       {"variant", evaluation.variant},
                       {"parameters", evaluation.parameter_count},
                       {"active_parameters", evaluation.active_parameter_count},
                       {"causal", evaluation.facts.is_causal},
                       {"leak_length", evaluation.facts.leak_length},
                       {"first_segment", evaluation.first_segment}};
  if (!evaluation.dataset.empty()) json["dataset"] = evaluation.dataset;
  json["texts"] = TextsToJson(evaluation);
  ordered_json totals = ordered_json::array();
  for (const TextTotal& total : TotalsOf(evaluation)) {
    totals.push_back({{"name", total.name},
                      {"all", ToJson(total.all)},
                      {"rest", ToJson(total.rest)}});
  }
  json["totals"] = std::move(totals);
  if (evaluation.routing) {
    json["routing"] = {{"unit", NameOf(evaluation.facts.unit)},
                       {"utilisation_window", evaluation.utilisation_window},
                       {"layers", ToJson(*evaluation.routing)}};
  }
  if (!evaluation.tokens.empty()) json["tokens"] = TokensToJson(evaluation);
  if (!evaluation.runs.empty()) json["tasks"] = TasksToJson(evaluation);
  // Tokens may be parts of letters.
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace lory::eval
