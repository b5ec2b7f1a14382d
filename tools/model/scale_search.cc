#include "tools/model/scale_search.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/data/dataset.h"
#include "tools/model/eval/measure_text.h"
#include "tools/model/eval/text_set.h"
#include "tools/model/eval/variant_facts.h"
#include "tools/model/model_dataset.h"

namespace lory::surgery {
namespace {

using ::lory::eval::TextSet;
using ::lory::model::Transformer;

constexpr int64_t kMostScales = 1000;

absl::StatusOr<std::vector<TextSet>> ChooseText(
    const lory::data::Dataset& dataset, const ScaleSearch& search) {
  std::vector<TextSet> all = lory::eval::HeldOutSets(dataset, search.sequences);
  std::vector<TextSet> chosen;
  std::vector<std::string> names;
  for (TextSet& set : all) {
    names.push_back(set.name);
    const auto& wanted = search.domains;
    const bool is_wanted =
        wanted.empty()
            ? !set.kept_out
            : std::find(wanted.begin(), wanted.end(), set.name) != wanted.end();
    if (is_wanted) chosen.push_back(std::move(set));
  }
  for (const std::string& domain : search.domains) {
    if (std::find(names.begin(), names.end(), domain) != names.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--domains: there is no held-out domain \"", domain,
                     "\"; there are ", absl::StrJoin(names, ", ")));
  }
  if (chosen.empty()) {
    return absl::InvalidArgumentError(
        "no domain is left to search on; name some with --domains");
  }
  return chosen;
}

// Losses over all of `texts`, `rest` without the first `left_out` positions.
struct Losses {
  lory::eval::LossSums all;
  lory::eval::LossSums rest;
};

absl::StatusOr<Losses> LossesOn(const Transformer& model,
                                const std::vector<TextSet>& texts,
                                int64_t left_out, Progress& progress) {
  Losses losses;
  for (const TextSet& text : texts) {
    LORY_ASSIGN_OR_RETURN(
        const lory::eval::TextFigures figures,
        lory::eval::MeasureText(model, text, {.first_segment = left_out},
                                nullptr, progress));
    losses.all.Add(figures.all);
    losses.rest.Add(figures.rest);
  }
  return losses;
}

absl::Status NoneWillDo(const ScaleChoice& choice, bool has_tolerance) {
  const bool any =
      std::any_of(choice.trials.begin(), choice.trials.end(),
                  [](const auto& trial) { return std::isfinite(trial.loss); });
  if (!any || !has_tolerance) {
    return absl::FailedPreconditionError(
        "at no scale of --search is the loss finite: these differences break "
        "the model; try scales nearer to 0, and the checkpoints with "
        "`lory-model inspect`");
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "no scale of --search keeps the loss within --tolerance of the base's ",
      absl::StrFormat("%.4f", choice.base_loss),
      "; begin with a smaller one or allow more"));
}

// The trial to take; null: none will do.
const ScaleChoice::Trial* Best(const ScaleChoice& choice,
                               const ScaleSearch& search) {
  const ScaleChoice::Trial* best = nullptr;
  for (const ScaleChoice::Trial& trial : choice.trials) {
    if (!std::isfinite(trial.loss)) continue;
    const bool is_better =
        search.tolerance ? trial.loss <= choice.base_loss + *search.tolerance &&
                               (best == nullptr || trial.scale > best->scale)
                         : best == nullptr || trial.loss < best->loss;
    if (is_better) best = &trial;
  }
  return best;
}

// What a person should know of the scale that was chosen; empty: nothing.
std::string Remark(const ScaleChoice& choice) {
  const auto chosen = std::find_if(
      choice.trials.begin(), choice.trials.end(),
      [&](const auto& trial) { return trial.scale == choice.scale; });
  if (chosen == choice.trials.end()) return "";
  if (choice.scale == 0) {
    return "the scale is 0: what is written is the base itself\n";
  }
  const bool is_last = chosen + 1 == choice.trials.end();
  if (choice.has_tolerance) {
    return is_last ? "this is the highest scale tried: a higher one may be "
                     "within the tolerance, too\n"
                   : "";
  }
  if (chosen->loss >= choice.base_loss) {
    return "no scale that was tried is better than the base\n";
  }
  if (is_last || chosen == choice.trials.begin()) {
    return absl::StrCat("this is the ", is_last ? "highest" : "lowest",
                        " scale tried: a ", is_last ? "higher" : "lower",
                        " one may be better still\n");
  }
  return "";
}

}  // namespace

absl::StatusOr<std::vector<double>> ParseScales(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  double low = 0, high = 0, step = 0;
  const auto wrong = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("--search is \"", text, "\": ", why,
                     "; LOW:HIGH:STEP is such as 0:1:0.1"));
  };
  if (parts.size() != 3) return wrong("not three numbers with : between them");
  for (const auto& [part, number] :
       {std::pair(&parts[0], &low), std::pair(&parts[1], &high),
        std::pair(&parts[2], &step)}) {
    if (!absl::SimpleAtod(*part, number) || !std::isfinite(*number)) {
      return wrong(absl::StrCat("\"", *part, "\" is no finite number"));
    }
  }
  if (!(low < high)) return wrong("LOW is not below HIGH");
  if (!(step > 0)) return wrong("STEP is not above 0");
  // A last one that rounding put beyond the end is meant, too.
  const double steps = (high - low) / step + 1e-9;
  if (!(steps < kMostScales)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--search ", text, " has more than ", kMostScales, " scales"));
  }
  std::vector<double> scales;
  for (int64_t i = 0; i <= static_cast<int64_t>(steps); ++i) {
    scales.push_back(low + static_cast<double>(i) * step);
  }
  return scales;
}

absl::StatusOr<ScaleChoice> SearchScale(const Transformer& base,
                                        const TaskArithmetic& sum,
                                        const ScaleSearch& search,
                                        Progress& progress) {
  LORY_ASSIGN_OR_RETURN(
      const std::unique_ptr<lory::data::Dataset> dataset,
      OpenHeldOut(search.data, base.shape(), search.tokenizer_sha256));
  LORY_ASSIGN_OR_RETURN(const std::vector<TextSet> texts,
                        ChooseText(*dataset, search));
  int64_t tokens = 0;
  for (const TextSet& text : texts) tokens += text.window_count * text.window;
  progress.Start("search",
                 tokens * static_cast<int64_t>(search.scales.size() + 1));
  const lory::eval::VariantFacts facts = lory::eval::FactsOf(base.shape());
  ScaleChoice choice{.left_out = facts.leak_length,
                     .is_causal = facts.is_causal,
                     .has_tolerance = search.tolerance.has_value()};
  LORY_ASSIGN_OR_RETURN(const Losses of_base,
                        LossesOn(base, texts, choice.left_out, progress));
  if (of_base.rest.token_count() == 0) choice.left_out = 0;
  const auto mean = [&](const Losses& losses) {
    return (choice.left_out > 0 ? losses.rest : losses.all).Mean();
  };
  choice.base_loss = mean(of_base);
  for (const double scale : search.scales) {
    LORY_ASSIGN_OR_RETURN(const std::unique_ptr<Transformer> model,
                          sum.Finish(scale));
    LORY_ASSIGN_OR_RETURN(const Losses losses,
                          LossesOn(*model, texts, choice.left_out, progress));
    choice.trials.push_back({scale, mean(losses)});
  }
  const ScaleChoice::Trial* best = Best(choice, search);
  if (best == nullptr) return NoneWillDo(choice, search.tolerance.has_value());
  choice.scale = best->scale;
  progress.Finish(absl::StrCat("scale ", choice.scale));
  return choice;
}

std::string ToText(const ScaleChoice& choice) {
  std::string text;
  if (choice.left_out > 0) {
    absl::StrAppend(&text, "losses without the first ", choice.left_out,
                    " positions of a sequence, which see each other\n");
  }
  if (!choice.is_causal) {
    text += "the model is not causal: its loss is no likelihood of the text\n";
  }
  absl::StrAppendFormat(&text, "%8s  %8s\n%8s  %8.4f\n", "scale", "loss",
                        "base", choice.base_loss);
  for (const ScaleChoice::Trial& trial : choice.trials) {
    absl::StrAppendFormat(&text, "%8.4g  %8.4f%s\n", trial.scale, trial.loss,
                          trial.scale == choice.scale ? "  <-" : "");
  }
  return text + Remark(choice);
}

}  // namespace lory::surgery
