#ifndef LORY_TOOLS_LORYCTL_PLOT_H_
#define LORY_TOOLS_LORYCTL_PLOT_H_

#include <string>
#include <vector>

namespace lory::ctl {

struct PlotPoint {
  double x = 0;
  double y = 0;
};

struct PlotOptions {
  int columns = 80;
  int rows = 16;
  bool utf8 = false;  // braille dots, eight a character, instead of *
};

// A curve with its axes, as lines of text. Many points in one column are
// drawn as their mean. Empty without points; points that are not finite are
// left out.
std::string PlotText(const std::vector<PlotPoint>& points,
                     const PlotOptions& options);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_PLOT_H_
