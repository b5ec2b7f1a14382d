#include "tools/loryctl/plot.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace lory::ctl {
namespace {

constexpr int kAxisColumns = 10;

struct Range {
  double low = 0;
  double high = 0;
  // 0..1 within the range.
  double Share(double value) const { return (value - low) / (high - low); }
};

Range RangeOf(const std::vector<PlotPoint>& points, double PlotPoint::*member) {
  const auto [low, high] = std::minmax_element(
      points.begin(), points.end(),
      [&](const auto& a, const auto& b) { return a.*member < b.*member; });
  Range range{*low.*member, *high.*member};
  if (range.low == range.high) {
    range.low -= 0.5;
    range.high += 0.5;
  }
  return range;
}

// A grid of dots; a character shows `across` x `down` of them.
class Canvas {
 public:
  Canvas(int columns, int rows, bool utf8)
      : columns_(columns),
        rows_(rows),
        utf8_(utf8),
        cells_(static_cast<size_t>(columns) * rows) {}

  int dots_across() const { return columns_ * (utf8_ ? 2 : 1); }
  int dots_down() const { return rows_ * (utf8_ ? 4 : 1); }

  void Dot(int x, int y) {
    if (!utf8_) {
      cells_[static_cast<size_t>(y) * columns_ + x] = 1;
      return;
    }
    // Bits of a braille character, by column and row of the dot.
    static constexpr int kBits[2][4] = {{0x01, 0x02, 0x04, 0x40},
                                        {0x08, 0x10, 0x20, 0x80}};
    cells_[static_cast<size_t>(y / 4) * columns_ + x / 2] |=
        kBits[x % 2][y % 4];
  }

  std::string Row(int row) const {
    std::string text;
    for (int column = 0; column < columns_; ++column) {
      const int bits = cells_[static_cast<size_t>(row) * columns_ + column];
      if (bits == 0 || !utf8_) {
        text += bits == 0 ? ' ' : '*';
        continue;
      }
      const int code = 0x2800 + bits;  // U+2800: the empty braille character
      text += static_cast<char>(0xe0 | (code >> 12));
      text += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
      text += static_cast<char>(0x80 | (code & 0x3f));
    }
    return text;
  }

 private:
  const int columns_;
  const int rows_;
  const bool utf8_;
  std::vector<int> cells_;
};

void Draw(const std::vector<PlotPoint>& points, const Range& x,
          const std::vector<std::pair<double, int>>& columns, const Range& y,
          Canvas& canvas) {
  int before = -1;
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto& [sum, count] = columns[i];
    if (count == 0) continue;
    const int bottom = canvas.dots_down() - 1;
    const int dot = std::clamp(
        bottom - static_cast<int>(std::lround(y.Share(sum / count) * bottom)),
        0, bottom);
    // Joined to the column before, so that a steep curve stays one.
    const int from = before < 0 ? dot : before;
    const int step = from < dot ? 1 : -1;
    for (int at = from; at != dot; at += step) {
      canvas.Dot(static_cast<int>(i), at);
    }
    canvas.Dot(static_cast<int>(i), dot);
    before = dot;
  }
}

}  // namespace

std::string PlotText(const std::vector<PlotPoint>& all,
                     const PlotOptions& options) {
  std::vector<PlotPoint> points;
  for (const PlotPoint& point : all) {
    if (std::isfinite(point.x) && std::isfinite(point.y)) {
      points.push_back(point);
    }
  }
  if (points.empty()) return "";
  const Range x = RangeOf(points, &PlotPoint::x);
  const int width = std::max(10, options.columns - kAxisColumns - 2);
  Canvas canvas(width, std::max(3, options.rows), options.utf8);
  std::vector<std::pair<double, int>> columns(canvas.dots_across());
  for (const PlotPoint& point : points) {
    const int last = canvas.dots_across() - 1;
    auto& [sum, count] =
        columns[std::clamp(static_cast<int>(x.Share(point.x) * last), 0, last)];
    sum += point.y;
    ++count;
  }
  std::vector<PlotPoint> means;
  for (const auto& [sum, count] : columns) {
    if (count > 0) means.push_back({0, sum / count});
  }
  const Range y = RangeOf(means, &PlotPoint::y);
  Draw(points, x, columns, y, canvas);

  std::string text;
  const int rows = std::max(3, options.rows);
  for (int row = 0; row < rows; ++row) {
    const double span = y.high - y.low;
    const double exact = y.high - span * row / static_cast<double>(rows - 1);
    // What rounding leaves of 0 would be shown with its digits.
    const double value = std::abs(exact) < 1e-9 * span ? 0 : exact;
    const bool labelled = row % 4 == 0 || row == rows - 1;
    std::string line = absl::StrCat(
        labelled ? absl::StrFormat("%*.4g", kAxisColumns - 1, value)
                 : std::string(kAxisColumns - 1, ' '),
        " |", canvas.Row(row));
    while (line.back() == ' ') line.pop_back();
    absl::StrAppend(&text, line, "\n");
  }
  absl::StrAppend(&text, std::string(kAxisColumns, ' '), "+",
                  std::string(width, '-'), "\n");
  const std::string left = absl::StrFormat("%.6g", points.front().x);
  const std::string right = absl::StrFormat("%.6g", points.back().x);
  absl::StrAppend(
      &text, std::string(kAxisColumns + 1, ' '), left,
      std::string(std::max<int>(
                      1, width - static_cast<int>(left.size() + right.size())),
                  ' '),
      right, "\n");
  return text;
}

}  // namespace lory::ctl
