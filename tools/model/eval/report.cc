#include "tools/model/eval/report.h"

#include <algorithm>
#include <cstddef>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "common/text/utf8.h"

namespace lory::eval {
namespace {

// Layers that the text shows of a deep model (Lory, figure 6, shows as many).
std::set<int64_t> LayersToShow(int64_t count) {
  constexpr int64_t kFew = 8;
  std::set<int64_t> layers;
  if (count > kFew) return {0, count / 2, count - 1};
  for (int64_t i = 0; i < count; ++i) layers.insert(i);
  return layers;
}

std::string Millions(int64_t count) {
  return absl::StrFormat("%.2fM", static_cast<double>(count) / 1e6);
}

// How wide the column of names must be.
int NameWidth(const Evaluation& evaluation) {
  size_t width = 16;  // "kept-out domains"
  for (const TextRow& row : evaluation.texts) {
    width = std::max(width, row.name.size() + 1);
  }
  for (const TaskRun& run : evaluation.runs) {
    for (const TaskFigures& task : run.tasks) {
      width = std::max(width, task.task.size());
    }
  }
  return static_cast<int>(width);
}

void AppendHead(const Evaluation& evaluation, std::string& out) {
  absl::StrAppendFormat(&out, "checkpoint   %s of %s, step %d\n",
                        evaluation.checkpoint, evaluation.job, evaluation.step);
  absl::StrAppendFormat(&out, "model        %s; %s parameters, %s active\n",
                        evaluation.variant,
                        Millions(evaluation.parameter_count),
                        Millions(evaluation.active_parameter_count));
  const VariantFacts& facts = evaluation.facts;
  absl::StrAppend(&out, "likelihood   ", DescribeCausality(facts));
  if (!facts.is_causal) {
    out += ": what it says of a text is no likelihood";
  } else if (facts.leak_length > evaluation.first_segment) {
    absl::StrAppend(&out, ", and \"after ", evaluation.first_segment,
                    "\" counts some of them: no figure here is a likelihood");
  } else if (facts.leak_length > 0) {
    absl::StrAppend(&out, ": of both figures \"after ",
                    evaluation.first_segment, "\" alone is a likelihood");
  }
  out += "\n";
}

// "held-out     demo: windows of 256 tokens, stride 256"
void AppendWindows(const Evaluation& evaluation, std::string& out) {
  std::set<std::string> said;
  for (const TextRow& row : evaluation.texts) {
    std::string line = absl::StrFormat(
        "%-12s %swindows of %d tokens, stride %d\n",
        row.is_file ? "files" : "held-out",
        row.is_file ? "" : absl::StrCat(evaluation.dataset, ": "), row.window,
        row.stride);
    if (said.insert(line).second) out += line;
  }
}

std::string LossCells(const LossSums& sums, bool with_bytes) {
  if (sums.token_count() == 0) {
    return absl::StrFormat("%9s %8s %7s %10s %s", "0", "-", "-", "-",
                           with_bytes ? "         -" : "");
  }
  std::string cells =
      absl::StrFormat("%9d %8.4f ", sums.token_count(), sums.Mean());
  absl::StrAppend(&cells, sums.window_count() < 2
                              ? "      -"
                              : absl::StrFormat("%7.4f", sums.StandardError()));
  absl::StrAppendFormat(&cells, " %10.3f ", sums.Perplexity());
  if (with_bytes) absl::StrAppendFormat(&cells, "%10.4f", sums.BitsPerByte());
  return cells;
}

void AppendText(const Evaluation& evaluation, int width, std::string& out) {
  if (evaluation.texts.empty()) return;
  const std::vector<TextTotal> totals = TotalsOf(evaluation);
  const bool with_bytes =
      totals.empty() ? evaluation.texts[0].figures.all.BitsPerByte() > 0
                     : totals[0].all.BitsPerByte() > 0;
  const bool two = evaluation.first_segment > 0;
  const std::string names =
      absl::StrFormat("%9s %8s %7s %10s %s", "tokens", "loss", "+-",
                      "perplexity", with_bytes ? " bits/byte" : "");
  const int block = static_cast<int>(names.size());
  absl::StrAppendFormat(&out, "\n%-*s%*s", width, "perplexity", block,
                        "all positions");
  if (two) {
    absl::StrAppendFormat(&out, "%*s", block,
                          absl::StrCat("after ", evaluation.first_segment));
  }
  absl::StrAppendFormat(&out, "\n%-*s%s%s\n", width, "", names,
                        two ? names : "");
  const char* mark = evaluation.facts.is_causal ? "" : "  not causal";
  const auto append = [&](const std::string& name, const LossSums& all,
                          const LossSums& rest) {
    absl::StrAppendFormat(&out, "%-*s%s%s%s\n", width, name,
                          LossCells(all, with_bytes),
                          two ? LossCells(rest, with_bytes) : "", mark);
  };
  bool any_kept_out = false;
  for (const TextRow& row : evaluation.texts) {
    any_kept_out = any_kept_out || row.kept_out;
    append(absl::StrCat(row.name, row.kept_out ? "*" : ""), row.figures.all,
           row.figures.rest);
  }
  for (const TextTotal& total : totals) {
    append(total.name, total.all, total.rest);
  }
  if (any_kept_out) out += "* kept out of training, and of \"all domains\"\n";
}

std::string NeighborCells(const RoutingFigures& layer) {
  if (layer.neighbor_count == 0) return absl::StrFormat("%9s %9s", "-", "-");
  return absl::StrFormat("%9.4f %8.1f%%", layer.neighbor_cosine,
                         100 * layer.neighbor_agreement);
}

void AppendRouting(const Evaluation& evaluation, std::string& out) {
  if (!evaluation.routing || evaluation.texts.empty()) return;
  const std::string unit = NameOf(evaluation.facts.unit);
  absl::StrAppendFormat(
      &out,
      "\nrouting, by %s; of neighbours the cosine and the share with the same "
      "first expert\n%5s %10s %8s %7s %9s %9s %6s %9s %9s\n",
      unit, "layer", "decisions", "entropy", "active", "windowed", "unrouted",
      "load", "cosine", "the same");
  const std::vector<RoutingFigures> layers = evaluation.routing->Figures();
  for (const int64_t i : LayersToShow(evaluation.layer_count)) {
    const RoutingFigures& layer = layers[static_cast<size_t>(i)];
    absl::StrAppendFormat(
        &out, "%5d %10d %8.4f %6.1f%% %9s %8.2f%% %6.2f %s\n", i,
        layer.decision_count, layer.entropy, 100 * layer.active_share,
        layer.window_count == 0
            ? "-"
            : absl::StrFormat("%.1f%%", 100 * layer.active_share_in_window),
        100 * layer.unrouted_share, layer.load_ratio, NeighborCells(layer));
  }
}

// The heaviest expert of each text and layer, and what the text's neighbours
// have in common over all layers.
void AppendSpecialisation(const Evaluation& evaluation, int width,
                          std::string& out) {
  if (!evaluation.routing || evaluation.texts.empty()) return;
  const std::set<int64_t> shown = LayersToShow(evaluation.layer_count);
  absl::StrAppendFormat(&out, "\n%-*s", width, "heaviest expert");
  for (const int64_t i : shown) {
    absl::StrAppendFormat(&out, " %12s", absl::StrCat("layer ", i));
  }
  absl::StrAppendFormat(&out, " %9s %9s\n", "cosine", "the same");
  for (const TextRow& row : evaluation.texts) {
    absl::StrAppendFormat(&out, "%-*s", width,
                          absl::StrCat(row.name, row.kept_out ? "*" : ""));
    RoutingFigures mean;
    const std::vector<RoutingFigures> layers = row.figures.routing->Figures();
    for (size_t i = 0; i < layers.size(); ++i) {
      const RoutingFigures& layer = layers[i];
      const double share = 1 / static_cast<double>(layers.size());
      mean.neighbor_count += layer.neighbor_count;
      mean.neighbor_cosine += share * layer.neighbor_cosine;
      mean.neighbor_agreement += share * layer.neighbor_agreement;
      if (!shown.contains(static_cast<int64_t>(i))) continue;
      const auto most = std::max_element(layer.mean_weights.begin(),
                                         layer.mean_weights.end());
      absl::StrAppendFormat(&out, " %6d %.3f",
                            most - layer.mean_weights.begin(), *most);
    }
    absl::StrAppend(&out, " ", NeighborCells(mean), "\n");
  }
}

void AppendTokens(const Evaluation& evaluation, std::string& out) {
  if (evaluation.tokens.empty()) return;
  const std::set<int64_t> shown = LayersToShow(evaluation.layer_count);
  out += "\ntokens that mark an expert";
  const MarkedToken* before = nullptr;
  for (const MarkedToken& token : evaluation.tokens) {
    if (!shown.contains(token.layer)) continue;
    if (before == nullptr || before->layer != token.layer ||
        before->expert != token.expert) {
      absl::StrAppendFormat(&out, "\nlayer %d expert %d ", token.layer,
                            token.expert);
    }
    absl::StrAppend(&out, " \"", lory::text::EscapedText(token.text), "\"");
    before = &token;
  }
  out += "\n";
}

void AppendTasks(const Evaluation& evaluation, int width, std::string& out) {
  if (evaluation.runs.empty()) return;
  absl::StrAppendFormat(&out, "\n%-*s %-9s %6s %7s %15s %15s %15s\n", width,
                        "accuracy, %", "inference", "items", "chance", "raw",
                        "by byte", "by token");
  for (const TaskRun& run : evaluation.runs) {
    for (const TaskFigures& task : run.tasks) {
      absl::StrAppendFormat(&out, "%-*s %-9s %6d %7.2f", width, task.task,
                            run.inference ? NameOf(*run.inference) : "-",
                            task.item_count, 100 * task.chance);
      for (const Accuracy* accuracy :
           {&task.raw, &task.by_byte, &task.by_token}) {
        absl::StrAppendFormat(&out, " %6.2f", 100 * accuracy->mean);
        absl::StrAppend(
            &out,
            accuracy->standard_error
                ? absl::StrFormat(" +- %5.2f", 100 * *accuracy->standard_error)
                : " +-     -");
      }
      out += "\n";
      if (task.unscored_count > 0) {
        absl::StrAppend(&out, "  ", task.unscored_count, " of these ",
                        task.item_count, " items have no finite score and ",
                        "count as wrong: the model gives none\n");
      }
    }
  }
}

}  // namespace

std::string ToText(const Evaluation& evaluation) {
  const int width = NameWidth(evaluation);
  std::string out;
  AppendHead(evaluation, out);
  AppendWindows(evaluation, out);
  AppendText(evaluation, width, out);
  AppendRouting(evaluation, out);
  AppendSpecialisation(evaluation, width, out);
  AppendTokens(evaluation, out);
  AppendTasks(evaluation, width, out);
  return out;
}

}  // namespace lory::eval
