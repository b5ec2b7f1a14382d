#include "coordinator/page/html.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace lory::coordinator::page {

std::string Escape(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"\"", "&quot;"},
                                    {"'", "&#39;"}});
}

std::string Bar(double share) {
  return absl::StrFormat(
      "<span class=bar><span style=\"width:%.1f%%\"></span></span>",
      100 * std::clamp(share, 0.0, 1.0));
}

std::string Sparkline(const Points& points, int width, int height) {
  if (points.size() < 2) return "";
  double low = points.front().second;
  double high = low;
  for (const auto& [x, y] : points) {
    low = std::min(low, y);
    high = std::max(high, y);
  }
  const double left = points.front().first;
  const double x_scale = width / std::max(points.back().first - left, 1e-9);
  const double y_scale = height / std::max(high - low, 1e-9);
  std::string line;
  for (const auto& [x, y] : points) {
    absl::StrAppendFormat(&line, "%.1f,%.1f ", (x - left) * x_scale,
                          height - (y - low) * y_scale);
  }
  return absl::StrFormat(
      "<span class=spark>%.3f <svg width=%d height=%d viewBox=\"0 -2 %d %d\" "
      "role=img aria-label=\"loss over steps\"><polyline points=\"%s\"/></svg> "
      "%.3f</span>",
      points.front().second, width, height + 4, width, height + 4, line,
      points.back().second);
}

std::string HeatCell(double value, double share) {
  return absl::StrFormat("<td class=heat style=\"--share:%.0f%%\">%.2f</td>",
                         100 * std::clamp(share, 0.0, 1.0), value);
}

std::string Compact(double value) {
  if (value >= 1e9) return absl::StrFormat("%.1fG", value / 1e9);
  if (value >= 1e6) return absl::StrFormat("%.1fM", value / 1e6);
  if (value >= 1e4) return absl::StrFormat("%.1fk", value / 1e3);
  return absl::StrFormat("%.0f", value);
}

}  // namespace lory::coordinator::page
