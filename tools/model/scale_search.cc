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

// Nats a token over all of `texts`.
absl::StatusOr<double> LossOn(const Transformer& model,
                              const std::vector<TextSet>& texts,
                              Progress& progress) {
  lory::eval::LossSums sums;
  for (const TextSet& text : texts) {
    LORY_ASSIGN_OR_RETURN(
        const lory::eval::TextFigures figures,
        lory::eval::MeasureText(model, text, {}, nullptr, progress));
    sums.Add(figures.all);
  }
  return sums.Mean();
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

}  // namespace

absl::StatusOr<std::vector<double>> ParseScales(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  double low = 0, high = 0, step = 0;
  if (parts.size() != 3 || !absl::SimpleAtod(parts[0], &low) ||
      !absl::SimpleAtod(parts[1], &high) ||
      !absl::SimpleAtod(parts[2], &step) || !std::isfinite(low) ||
      !std::isfinite(high) || !(low < high) || !(step > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--search is \"", text, "\"; give LOW:HIGH:STEP, such as 0:1:0.1"));
  }
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
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<lory::data::Dataset> dataset,
                        OpenHeldOut(search.data, base));
  LORY_ASSIGN_OR_RETURN(const std::vector<TextSet> texts,
                        ChooseText(*dataset, search));
  int64_t tokens = 0;
  for (const TextSet& text : texts) tokens += text.window_count * text.window;
  progress.Start("search",
                 tokens * static_cast<int64_t>(search.scales.size() + 1));
  ScaleChoice choice;
  LORY_ASSIGN_OR_RETURN(choice.base_loss, LossOn(base, texts, progress));
  for (const double scale : search.scales) {
    LORY_ASSIGN_OR_RETURN(const std::unique_ptr<Transformer> model,
                          sum.Finish(scale));
    LORY_ASSIGN_OR_RETURN(const double loss, LossOn(*model, texts, progress));
    choice.trials.push_back({scale, loss});
  }
  const ScaleChoice::Trial* best = Best(choice, search);
  if (best == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "no scale of --search keeps the loss within --tolerance of the base's ",
        absl::StrFormat("%.4f", choice.base_loss), "; begin with a smaller one",
        " or allow more"));
  }
  choice.scale = best->scale;
  progress.Finish(absl::StrCat("scale ", choice.scale));
  return choice;
}

std::string ToText(const ScaleChoice& choice) {
  std::string text = absl::StrFormat("%8s  %8s\n%8s  %8.4f\n", "scale", "loss",
                                     "base", choice.base_loss);
  for (const ScaleChoice::Trial& trial : choice.trials) {
    absl::StrAppendFormat(&text, "%8.4g  %8.4f%s\n", trial.scale, trial.loss,
                          trial.scale == choice.scale ? "  <-" : "");
  }
  return text;
}

}  // namespace lory::surgery
