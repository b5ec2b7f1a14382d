#include "tools/corpus/map.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/io/absolute_path.h"
#include "common/io/storage.h"
#include "tools/corpus/output_guard.h"
#include "tools/corpus/projection.h"

namespace lory::corpus {
namespace {

constexpr double kSide = 800;    // of the square with the points
constexpr double kMargin = 20;   // around it
constexpr double kLegend = 220;  // beside it
// Of the points, at each end of an axis, that may lie on the border: a few
// that are far off would leave the rest on a heap.
constexpr double kCut = 0.01;

constexpr std::array<const char*, 10> kColors = {
    "#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951",
    "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"};

std::string Escaped(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

// Places on paper for coordinates along one axis.
class Axis {
 public:
  explicit Axis(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t cut =
        static_cast<size_t>(kCut * static_cast<double>(values.size()));
    low_ = values[cut];
    high_ = values[values.size() - 1 - cut];
  }
  double At(double value) const {
    if (high_ <= low_) return kMargin + kSide / 2;
    const double share = (value - low_) / (high_ - low_);
    return kMargin + kSide * std::clamp(share, 0.0, 1.0);
  }

 private:
  double low_ = 0, high_ = 0;
};

// Documents that are drawn: evenly chosen, and the first whose walk is.
std::vector<int64_t> Choose(int64_t count, const MapOptions& options,
                            int64_t walk) {
  std::vector<int64_t> chosen;
  const int64_t most = std::max<int64_t>(options.documents, walk);
  for (int64_t i = 0; i < walk; ++i) chosen.push_back(i);
  const int64_t rest = std::min(most - walk, count - walk);
  for (int64_t i = 0; i < rest; ++i) {
    chosen.push_back(walk + i * (count - walk) / rest);
  }
  return chosen;
}

std::string Legend(const std::map<std::string, int64_t>& domains,
                   const std::map<std::string, const char*>& colors) {
  const double x = kSide + 2 * kMargin;
  double y = kMargin + 12;
  std::string out;
  for (const auto& [domain, count] : domains) {
    absl::StrAppendFormat(&out,
                          "<circle cx=\"%.0f\" cy=\"%.0f\" r=\"5\" "
                          "fill=\"%s\"/><text x=\"%.0f\" y=\"%.0f\">%s "
                          "(%d)</text>\n",
                          x, y - 4, colors.at(domain), x + 12, y,
                          Escaped(domain), count);
    y += 18;
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> DrawMap(DatasetView& view,
                                    const MapOptions& options) {
  LORY_RETURN_IF_ERROR(view.OpenVectors());
  const int64_t count = static_cast<int64_t>(view.documents().size());
  const int64_t walk = std::min(options.walk, count);
  const std::vector<int64_t> chosen = Choose(count, options, walk);
  const std::vector<Point> points =
      ProjectToPlane(static_cast<int64_t>(chosen.size()), view.dimensions(),
                     [&](int64_t i) { return view.VectorOf(chosen[i]); });
  std::vector<double> xs, ys;
  for (const Point& point : points) {
    xs.push_back(point.x);
    ys.push_back(point.y);
  }
  if (xs.empty()) return absl::FailedPreconditionError("nothing to draw");
  const Axis x(xs), y(ys);

  std::map<std::string, int64_t> domains;
  for (const IndexedDocument& document : view.documents()) {
    ++domains[document.domain];
  }
  std::map<std::string, const char*> colors;
  for (const auto& [domain, documents] : domains) {
    const char* color = kColors[colors.size() % kColors.size()];
    colors[domain] = color;
  }
  std::string out = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" "
      "height=\"%.0f\" font-family=\"sans-serif\" font-size=\"13\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      kSide + 2 * kMargin + kLegend, kSide + 2 * kMargin + 20);
  for (size_t i = 0; i < points.size(); ++i) {
    const IndexedDocument& document = view.documents()[chosen[i]];
    absl::StrAppendFormat(
        &out,
        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\" "
        "fill-opacity=\"0.7\"><title>%s %s</title></circle>\n",
        x.At(points[i].x), y.At(points[i].y), colors[document.domain],
        Escaped(document.domain),
        Escaped(document.name.empty() ? document.id : document.name));
  }
  out +=
      "<polyline fill=\"none\" stroke=\"black\" stroke-opacity=\"0.35\" "
      "stroke-width=\"0.8\" points=\"";
  for (int64_t i = 0; i < walk; ++i) {
    absl::StrAppendFormat(&out, "%.1f,%.1f ", x.At(points[i].x),
                          y.At(points[i].y));
  }
  absl::StrAppend(&out, "\"/>\n", Legend(domains, colors));
  absl::StrAppendFormat(
      &out,
      "<text x=\"%.0f\" y=\"%.0f\">%s: %d of %d documents; the line is "
      "the %s order of the first %d</text>\n</svg>\n",
      kMargin, kSide + 2 * kMargin + 12, Escaped(view.manifest().name),
      points.size(), count, Escaped(view.manifest().order), walk);
  return out;
}

absl::StatusOr<std::string> MapDataset(const std::string& path,
                                       const MapOptions& options,
                                       const std::string& output) {
  LORY_ASSIGN_OR_RETURN(const std::string target, io::AbsolutePath(output));
  LORY_ASSIGN_OR_RETURN(const std::string manifest, ManifestPathOf(path));
  LORY_RETURN_IF_ERROR(CheckPicture(target, FolderOf(manifest)));
  LORY_ASSIGN_OR_RETURN(DatasetView view, DatasetView::Open(path));
  LORY_ASSIGN_OR_RETURN(const std::string svg, DrawMap(view, options));
  LORY_RETURN_IF_ERROR(io::LocalStorage().Write(target, svg));
  return absl::StrCat(target, "\n");
}

}  // namespace lory::corpus
