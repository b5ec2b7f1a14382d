#ifndef LORY_TOOLS_CORPUS_PROJECTION_H_
#define LORY_TOOLS_CORPUS_PROJECTION_H_

#include <cstdint>
#include <functional>
#include <vector>

namespace lory::corpus {

struct Point {
  double x = 0, y = 0;
};

// Vectors in the plane in which they differ most: their first two principal
// components, each with its largest loading positive. The same numbers on
// every run.
std::vector<Point> ProjectToPlane(
    int64_t count, int32_t dimensions,
    const std::function<const float*(int64_t)>& row_of);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_PROJECTION_H_
