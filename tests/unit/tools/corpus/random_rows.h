#ifndef LORY_TESTS_UNIT_TOOLS_CORPUS_RANDOM_ROWS_H_
#define LORY_TESTS_UNIT_TOOLS_CORPUS_RANDOM_ROWS_H_

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "common/base/random.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/exact_search.h"

namespace lory::corpus {

// Unit vectors with few distinct directions, so that ties happen.
inline std::vector<float> RandomRows(Random& random, int count,
                                     int dimensions) {
  std::vector<float> rows;
  for (int i = 0; i < count * dimensions; ++i) {
    rows.push_back(static_cast<float>(random.Below(5)) - 2);
  }
  for (int i = 0; i < count; ++i) {
    float* row = rows.data() + i * dimensions;
    const double length = std::sqrt(Similarity(row, row, dimensions));
    for (int j = 0; j < dimensions && length > 0; ++j) {
      row[j] = static_cast<float>(row[j] / length);
    }
  }
  return rows;
}

// The naive double loop.
inline std::vector<Neighbor> AllNeighbors(const std::vector<float>& rows,
                                          int dimensions, int k) {
  const int count = static_cast<int>(rows.size()) / dimensions;
  std::vector<Neighbor> neighbors;
  for (int i = 0; i < count; ++i) {
    std::vector<Neighbor> all;
    for (int j = 0; j < count; ++j) {
      if (i == j) continue;
      all.push_back({j, static_cast<float>(Similarity(
                            rows.data() + i * dimensions,
                            rows.data() + j * dimensions, dimensions))});
    }
    const int found = std::min<int>(k, static_cast<int>(all.size()));
    std::partial_sort(all.begin(), all.begin() + found, all.end(),
                      [](const Neighbor& a, const Neighbor& b) {
                        return a.similarity != b.similarity
                                   ? a.similarity > b.similarity
                                   : a.document < b.document;
                      });
    all.resize(k);
    neighbors.insert(neighbors.end(), all.begin(), all.end());
  }
  return neighbors;
}

// The first k of each list of `all`, which are of `width` places.
inline std::vector<Neighbor> FirstOfEach(const std::vector<Neighbor>& all,
                                         int width, int k) {
  std::vector<Neighbor> first;
  for (size_t i = 0; i < all.size(); i += width) {
    first.insert(first.end(), all.begin() + i, all.begin() + i + k);
  }
  return first;
}

// As the search has them.
inline std::vector<Neighbor> Nearest(const std::vector<float>& rows,
                                     int dimensions, int k,
                                     const SearchLimits& limits = {}) {
  std::vector<Neighbor> found;
  SearchAll(
      RowSet(rows, dimensions), k, limits, [](int64_t) {},
      [&](std::span<const Neighbor> lists) {
        found.insert(found.end(), lists.begin(), lists.end());
      });
  return found;
}

}  // namespace lory::corpus

#endif  // LORY_TESTS_UNIT_TOOLS_CORPUS_RANDOM_ROWS_H_
