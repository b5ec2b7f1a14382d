#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/loryctl/study_results.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

constexpr double kNames = 200;    // for the variants' names
constexpr double kDrawing = 480;  // for the points
constexpr double kRow = 24;
constexpr double kEdge = 24;

// The range of losses on paper, with some air around it.
struct LossAxis {
  double low = std::numeric_limits<double>::max();
  double high = std::numeric_limits<double>::lowest();

  void Take(const Estimate& loss) {
    low = std::min(low, loss.mean - loss.standard_error.value_or(0));
    high = std::max(high, loss.mean + loss.standard_error.value_or(0));
  }
  double At(double loss) const {
    const double air = std::max(1e-6, 0.05 * (high - low));
    return kEdge + kNames +
           kDrawing * (loss - low + air) / (high - low + 2 * air);
  }
};

std::string PlotLine(double x1, double y1, double x2, double y2,
                     const char* color) {
  return absl::StrFormat(
      "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
      "stroke=\"%s\"/>\n",
      x1, y1, x2, y2, color);
}

std::string PlotText(double x, double y, const char* anchor,
                     const std::string& text) {
  return absl::StrFormat(
      "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y,
      anchor, text);
}

// One variant: its name, its mean and the bar around it.
std::string PlotRow(const std::string& name, const Estimate& loss, double y,
                    const LossAxis& axis) {
  std::string out = PlotText(kEdge + kNames - 8, y + 4, "end", name);
  if (loss.count == 0) return out;
  const double error = loss.standard_error.value_or(0);
  absl::StrAppend(&out, PlotLine(axis.At(loss.mean - error), y,
                                 axis.At(loss.mean + error), y, "#4269d0"));
  absl::StrAppendFormat(&out,
                        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" "
                        "fill=\"#4269d0\"><title>%s %s</title></circle>\n",
                        axis.At(loss.mean), y, name, EstimateText(loss, 4));
  return out;
}

}  // namespace

std::string StudyPlot(const StudyFile& study,
                      const std::vector<StudyJob>& jobs) {
  const std::vector<StudyColumn> columns = StudyColumns(jobs);
  const auto column = std::find_if(
      columns.begin(), columns.end(),
      [](const StudyColumn& each) { return each.key == kHeldOutLoss; });
  LossAxis axis;
  std::vector<Estimate> losses;
  for (size_t i = 0; i < study.variants.size(); ++i) {
    losses.push_back(EstimateOf(jobs, i, *column));
    if (losses.back().count > 0) axis.Take(losses.back());
  }
  if (axis.high < axis.low) return "";
  const double bottom =
      kEdge + kRow * static_cast<double>(study.variants.size());
  std::string out = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" "
      "height=\"%.0f\" font-family=\"sans-serif\" font-size=\"13\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      2 * kEdge + kNames + kDrawing, bottom + 3 * kEdge);
  for (const double loss : {axis.low, (axis.low + axis.high) / 2, axis.high}) {
    absl::StrAppend(
        &out, PlotLine(axis.At(loss), kEdge, axis.At(loss), bottom, "#dddddd"),
        PlotText(axis.At(loss), bottom + 16, "middle", Decimals(loss, 3)));
  }
  for (size_t i = 0; i < losses.size(); ++i) {
    const double y = kEdge + kRow * (static_cast<double>(i) + 0.5);
    absl::StrAppend(&out, PlotRow(study.variants[i].name, losses[i], y, axis));
  }
  absl::StrAppend(&out,
                  PlotText(kEdge + kNames + kDrawing / 2, bottom + 40, "middle",
                           "held-out loss, nats a token, mean and standard "
                           "error over seeds"),
                  "</svg>\n");
  return out;
}

}  // namespace lory::ctl
