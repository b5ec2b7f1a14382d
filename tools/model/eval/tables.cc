#include "tools/model/eval/tables.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace lory::eval {
namespace {

using nlohmann::ordered_json;

// A field of a table.
std::string Field(absl::string_view text) {
  if (text.find_first_of(",\"\r\n") == absl::string_view::npos) {
    return std::string(text);
  }
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string Number(double value) { return absl::StrFormat("%.6g", value); }

std::string InferenceOf(const TaskRun& run) {
  return run.inference ? NameOf(*run.inference) : "";
}

// What there is of some losses: tokens, loss, its error, perplexity, bits per
// byte; empty where it is not known.
std::string LossFields(const LossSums& sums) {
  if (sums.token_count() == 0) return "0,,,,";
  return absl::StrCat(
      sums.token_count(), ",", Number(sums.Mean()), ",",
      sums.window_count() < 2 ? "" : Number(sums.StandardError()), ",",
      Number(sums.Perplexity()), ",",
      sums.BitsPerByte() == 0 ? "" : Number(sums.BitsPerByte()));
}

void AppendRoutingRows(absl::string_view text, const RoutingMeter& meter,
                       std::string& out) {
  const std::vector<RoutingFigures> layers = meter.Figures();
  for (size_t i = 0; i < layers.size(); ++i) {
    const RoutingFigures& layer = layers[i];
    absl::StrAppend(
        &out, Field(text), ",", i, ",", layer.decision_count, ",",
        Number(layer.entropy), ",", Number(layer.active_share), ",",
        layer.window_count == 0 ? "" : Number(layer.active_share_in_window),
        ",", layer.window_count, ",", Number(layer.unrouted_share), ",",
        Number(layer.load_ratio), ",", layer.neighbor_count, ",");
    if (layer.neighbor_count > 0) {
      absl::StrAppend(&out, Number(layer.neighbor_cosine), ",",
                      Number(layer.neighbor_agreement), "\n");
    } else {
      absl::StrAppend(&out, ",\n");
    }
  }
}

}  // namespace

std::string DomainsCsv(const Evaluation& evaluation) {
  std::string out =
      "text,kind,kept_out,causal,window,stride,windows,"
      "tokens,loss,loss_error,perplexity,bits_per_byte,"
      "first_segment,rest_tokens,rest_loss,rest_loss_error,rest_perplexity,"
      "rest_bits_per_byte\n";
  const char* causal = evaluation.facts.is_causal ? "true" : "false";
  const std::string first = absl::StrCat(evaluation.first_segment);
  for (const TextRow& row : evaluation.texts) {
    absl::StrAppend(&out, Field(row.name), ",", row.is_file ? "file" : "domain",
                    ",", row.kept_out ? "true" : "false", ",", causal, ",",
                    row.window, ",", row.stride, ",",
                    row.figures.all.window_count(), ",",
                    LossFields(row.figures.all), ",", first, ",",
                    LossFields(row.figures.rest), "\n");
  }
  for (const TextTotal& total : TotalsOf(evaluation)) {
    absl::StrAppend(&out, Field(total.name), ",total,",
                    absl::StartsWith(total.name, "kept") ? "true" : "false",
                    ",", causal, ",,,", total.all.window_count(), ",",
                    LossFields(total.all), ",", first, ",",
                    LossFields(total.rest), "\n");
  }
  return out;
}

std::string SpecialisationCsv(const Evaluation& evaluation) {
  std::string out = "text,layer,expert,mean_weight\n";
  for (const TextRow& row : evaluation.texts) {
    if (!row.figures.routing) continue;
    const std::vector<RoutingFigures> layers = row.figures.routing->Figures();
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      const std::vector<double>& weights = layers[layer].mean_weights;
      for (size_t expert = 0; expert < weights.size(); ++expert) {
        absl::StrAppend(&out, Field(row.name), ",", layer, ",", expert, ",",
                        Number(weights[expert]), "\n");
      }
    }
  }
  return out;
}

std::string RoutingCsv(const Evaluation& evaluation) {
  std::string out =
      "text,layer,decisions,entropy,active_share,active_share_in_window,"
      "windows,unrouted_share,load_ratio,neighbors,neighbor_cosine,"
      "neighbor_agreement\n";
  for (const TextRow& row : evaluation.texts) {
    if (row.figures.routing)
      AppendRoutingRows(row.name, *row.figures.routing, out);
  }
  if (evaluation.routing) AppendRoutingRows("*", *evaluation.routing, out);
  return out;
}

std::string TokensCsv(const Evaluation& evaluation) {
  std::string out = "layer,expert,token,text,count,share,lift\n";
  for (const MarkedToken& token : evaluation.tokens) {
    absl::StrAppend(&out, token.layer, ",", token.expert, ",",
                    token.share.token, ",", Field(token.text), ",",
                    token.share.count, ",", Number(token.share.share), ",",
                    Number(token.share.lift), "\n");
  }
  return out;
}

std::string TasksCsv(const Evaluation& evaluation) {
  std::string out =
      "task,inference,items,chance,raw,raw_error,by_byte,by_byte_error,"
      "by_token,by_token_error\n";
  for (const TaskRun& run : evaluation.runs) {
    for (const TaskFigures& task : run.tasks) {
      absl::StrAppend(&out, Field(task.task), ",", InferenceOf(run), ",",
                      task.item_count, ",", Number(task.chance));
      for (const Accuracy* accuracy :
           {&task.raw, &task.by_byte, &task.by_token}) {
        absl::StrAppend(
            &out, ",", Number(accuracy->mean), ",",
            accuracy->standard_error ? Number(*accuracy->standard_error) : "");
      }
      out += "\n";
    }
  }
  return out;
}

std::string ItemsJsonLines(const Evaluation& evaluation) {
  std::string out;
  for (const TaskRun& run : evaluation.runs) {
    for (const ItemScores& scores : run.scores) {
      ordered_json line = {{"task", scores.item->task},
                           {"file", scores.item->file},
                           {"line", scores.item->line}};
      if (run.inference) line["inference"] = NameOf(*run.inference);
      line["answer"] = scores.item->answer;
      line["raw"] = scores.Likeliest();
      line["by_byte"] = scores.LikeliestByByte();
      line["by_token"] = scores.LikeliestByToken();
      line["log_likelihoods"] = scores.log_likelihoods;
      line["bytes"] = scores.bytes;
      line["tokens"] = scores.tokens;
      absl::StrAppend(
          &out,
          line.dump(-1, ' ', false, ordered_json::error_handler_t::replace),
          "\n");
    }
  }
  return out;
}

}  // namespace lory::eval
