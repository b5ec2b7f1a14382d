#ifndef LORY_COORDINATOR_PAGE_HTML_H_
#define LORY_COORDINATOR_PAGE_HTML_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

// Small pieces of HTML and SVG. Pure; every text that comes from outside is
// escaped here and nowhere else.
namespace lory::coordinator::page {

// `text` with & < > " ' made harmless, for elements and attributes.
std::string Escape(absl::string_view text);

// A horizontal bar filled to `share` of its width, 0 to 1.
std::string Bar(double share);

// The points of one line of a chart: x and y in the data's own units.
using Points = std::vector<std::pair<double, double>>;

// A line chart as SVG, with the first and last y written beside it; empty
// below two points.
std::string Sparkline(const Points& points, int width, int height);

// A table cell coloured by how strong `share` is, 0 to 1, showing `value`.
std::string HeatCell(double value, double share);

// 1234567 as "1.2M", for counts and rates.
std::string Compact(double value);

}  // namespace lory::coordinator::page

#endif  // LORY_COORDINATOR_PAGE_HTML_H_
