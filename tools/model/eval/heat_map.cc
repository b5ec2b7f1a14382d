#include "tools/model/eval/heat_map.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace lory::eval {
namespace {

// In pixels.
constexpr int kCell = 18;
constexpr int kLetter = 7;  // a letter's width, about
constexpr int kGap = 24;
constexpr int kTitle = 22;
constexpr int kAxis = 16;
constexpr int kLegend = 44;
constexpr int kPanelsInRow = 4;

using Figures = std::vector<std::vector<RoutingFigures>>;  // by text and layer

std::string Escape(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

// From white over blue to nearly black: read as well in grey.
std::string Color(double share) {
  const double x = std::clamp(share, 0.0, 1.0);
  const auto mix = [x](double middle, double end) {
    return std::lround(x < 0.5 ? 255 + (middle - 255) * x * 2
                               : middle + (end - middle) * (x * 2 - 1));
  };
  return absl::StrFormat("#%02x%02x%02x", mix(66, 8), mix(146, 29),
                         mix(198, 88));
}

void AppendLabel(std::string& out, int x, int y, absl::string_view anchor,
                 absl::string_view text) {
  absl::StrAppend(&out, "<text x=\"", x, "\" y=\"", y, "\" text-anchor=\"",
                  anchor, "\">", Escape(text), "</text>\n");
}

void AppendCell(std::string& out, int x, int y, const std::string& color,
                const std::string& tip) {
  absl::StrAppend(&out, "<rect x=\"", x, "\" y=\"", y, "\" width=\"", kCell,
                  "\" height=\"", kCell, "\" fill=\"", color, "\"><title>",
                  Escape(tip), "</title></rect>\n");
}

// All of one layer, its upper left corner at x, y.
void AppendPanel(std::string& out, const Evaluation& evaluation,
                 const Figures& figures, size_t layer, double most, int x,
                 int y, int label_width) {
  const int left = x + label_width;
  const int top = y + kTitle;
  AppendLabel(out, left, y + 15, "start", absl::StrCat("layer ", layer));
  for (size_t row = 0; row < figures.size(); ++row) {
    const TextRow& text = evaluation.texts[row];
    const int at = top + static_cast<int>(row) * kCell;
    AppendLabel(out, left - 5, at + 13, "end",
                absl::StrCat(text.name, text.kept_out ? "*" : ""));
    const std::vector<double>& weights = figures[row][layer].mean_weights;
    for (size_t expert = 0; expert < weights.size(); ++expert) {
      AppendCell(out, left + static_cast<int>(expert) * kCell, at,
                 Color(weights[expert] / most),
                 absl::StrFormat("%s, layer %d, expert %d: %.4f", text.name,
                                 layer, expert, weights[expert]));
    }
  }
  const int bottom = top + static_cast<int>(figures.size()) * kCell;
  const int64_t step = evaluation.expert_count > 16 ? 4 : 1;
  for (int64_t expert = 0; expert < evaluation.expert_count; expert += step) {
    AppendLabel(out, left + static_cast<int>(expert) * kCell + kCell / 2,
                bottom + 12, "middle", absl::StrCat(expert));
  }
}

void AppendLegend(std::string& out, const Evaluation& evaluation, double most,
                  int y) {
  constexpr int kSteps = 10;
  AppendLabel(out, kGap, y + 13, "start", "0");
  for (int i = 0; i <= kSteps; ++i) {
    AppendCell(out, kGap + 12 + i * kCell, y,
               Color(static_cast<double>(i) / kSteps),
               absl::StrFormat("%.4f", most * i / kSteps));
  }
  AppendLabel(
      out, kGap + 20 + (kSteps + 1) * kCell, y + 13, "start",
      absl::StrFormat("%.3f mean weight; even: %.3f", most,
                      1 / static_cast<double>(evaluation.expert_count)));
  const bool any_kept_out =
      std::any_of(evaluation.texts.begin(), evaluation.texts.end(),
                  [](const TextRow& row) { return row.kept_out; });
  if (any_kept_out) {
    AppendLabel(out, kGap, y + 33, "start", "* kept out of training");
  }
}

}  // namespace

std::string SpecialisationSvg(const Evaluation& evaluation) {
  Figures figures;
  size_t longest = 0;
  double most = 1e-9;
  for (const TextRow& row : evaluation.texts) {
    figures.push_back(row.figures.routing->Figures());
    longest = std::max(longest, row.name.size() + 1);
    for (const RoutingFigures& layer : figures.back()) {
      for (const double weight : layer.mean_weights) {
        most = std::max(most, weight);
      }
    }
  }
  const int layers = static_cast<int>(evaluation.layer_count);
  const int columns = std::min(kPanelsInRow, layers);
  const int rows = (layers + columns - 1) / columns;
  const int label_width = static_cast<int>(longest) * kLetter;
  const int panel_width =
      label_width + static_cast<int>(evaluation.expert_count) * kCell + kGap;
  const int panel_height =
      kTitle + static_cast<int>(figures.size()) * kCell + kAxis + kGap;
  const int width = std::max(columns * panel_width + kGap, 480);
  const int legend = kTitle + rows * panel_height;
  const int height = legend + kLegend;
  std::string out = absl::StrCat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", width,
      "\" height=\"", height, "\" viewBox=\"0 0 ", width, " ", height,
      "\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n",
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
  AppendLabel(out, kGap, 15, "start",
              absl::StrCat("Mean weight of each expert by text: ",
                           evaluation.checkpoint, ", ", evaluation.variant));
  for (int layer = 0; layer < layers; ++layer) {
    AppendPanel(out, evaluation, figures, static_cast<size_t>(layer), most,
                kGap + layer % columns * panel_width,
                kTitle + layer / columns * panel_height, label_width);
  }
  AppendLegend(out, evaluation, most, legend);
  return out + "</svg>\n";
}

}  // namespace lory::eval
