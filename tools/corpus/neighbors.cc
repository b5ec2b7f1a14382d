#include "tools/corpus/neighbors.h"

#include <faiss/IndexFlat.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/embed.h"

namespace lory::corpus {
namespace {

constexpr int64_t kQueries = 1024;  // at a time, for the progress bar
// More than asked for are found, so that what FAISS rounds one way with one
// thread and another with two does not decide who is the last.
constexpr int64_t kSpare = 6;

}  // namespace

std::vector<Neighbor> FindNeighbors(
    std::span<const float> rows, int32_t dimensions, int32_t k,
    const std::function<void(int64_t)>& on_progress) {
  const int64_t count = static_cast<int64_t>(rows.size()) / dimensions;
  std::vector<Neighbor> neighbors(count * k);
  // The query itself is among its nearest, but not always the first.
  const int64_t wanted = std::min<int64_t>(k + 1 + kSpare, count);
  faiss::IndexFlatIP index(dimensions);
  index.add(count, rows.data());
  std::vector<float> similarities(kQueries * wanted);
  std::vector<faiss::Index::idx_t> documents(kQueries * wanted);
  for (int64_t first = 0; first < count; first += kQueries) {
    const int64_t queries = std::min(kQueries, count - first);
    index.search(queries, rows.data() + first * dimensions, wanted,
                 similarities.data(), documents.data());
    for (int64_t i = 0; i < queries; ++i) {
      const float* query = rows.data() + (first + i) * dimensions;
      std::vector<Neighbor> found;
      for (int64_t j = 0; j < wanted; ++j) {
        const int64_t other = documents[i * wanted + j];
        if (other < 0 || other == first + i) continue;
        // Computed again in a fixed order: FAISS adds up in another one for
        // every number of threads, and the walk must not depend on that.
        found.push_back(
            {static_cast<int32_t>(other),
             static_cast<float>(Similarity(
                 query, rows.data() + other * dimensions, dimensions))});
      }
      std::sort(
          found.begin(), found.end(), [](const Neighbor& a, const Neighbor& b) {
            return a.similarity != b.similarity ? a.similarity > b.similarity
                                                : a.document < b.document;
          });
      if (static_cast<int64_t>(found.size()) > k) found.resize(k);
      std::copy(found.begin(), found.end(),
                neighbors.begin() + (first + i) * k);
    }
    on_progress(queries);
  }
  return neighbors;
}

std::vector<Neighbor> FindNearest(
    std::span<const float> queries, std::span<const float> rows,
    int32_t dimensions, const std::function<void(int64_t)>& on_progress) {
  const int64_t count = static_cast<int64_t>(queries.size()) / dimensions;
  const int64_t row_count = static_cast<int64_t>(rows.size()) / dimensions;
  std::vector<Neighbor> nearest(count);
  if (row_count == 0) return nearest;
  const int64_t wanted = std::min<int64_t>(1 + kSpare, row_count);
  faiss::IndexFlatIP index(dimensions);
  index.add(row_count, rows.data());
  std::vector<float> similarities(kQueries * wanted);
  std::vector<faiss::Index::idx_t> found(kQueries * wanted);
  for (int64_t first = 0; first < count; first += kQueries) {
    const int64_t block = std::min(kQueries, count - first);
    index.search(block, queries.data() + first * dimensions, wanted,
                 similarities.data(), found.data());
    for (int64_t i = 0; i < block; ++i) {
      const float* query = queries.data() + (first + i) * dimensions;
      // Minus similarity, row: computed again, as in FindNeighbors.
      std::pair<double, int64_t> best = {
          std::numeric_limits<double>::infinity(), -1};
      for (int64_t j = 0; j < wanted; ++j) {
        const int64_t row = found[i * wanted + j];
        if (row < 0) continue;
        best = std::min<std::pair<double, int64_t>>(
            best,
            {-Similarity(query, rows.data() + row * dimensions, dimensions),
             row});
      }
      nearest[first + i] = {static_cast<int32_t>(best.second),
                            static_cast<float>(-best.first)};
    }
    on_progress(block);
  }
  return nearest;
}

absl::StatusOr<StageResult> Neighbors(std::span<const float> vectors,
                                      std::span<const uint8_t> held_out,
                                      int32_t dimensions, int32_t k,
                                      const std::string& folder,
                                      Progress& progress) {
  std::vector<float> rows;
  rows.reserve(vectors.size());
  for (size_t i = 0; i < held_out.size(); ++i) {
    if (held_out[i]) continue;
    const auto row = vectors.subspan(i * dimensions, dimensions);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  const int64_t count = static_cast<int64_t>(rows.size()) / dimensions;
  progress.Start("neighbors", count);
  const std::vector<Neighbor> neighbors = FindNeighbors(
      rows, dimensions, k, [&](int64_t queries) { progress.Advance(queries); });
  LORY_RETURN_IF_ERROR(WriteArray<Neighbor>(
      absl::StrCat(folder, "/", kNeighborsFile), neighbors));
  double nearest = 0;
  for (int64_t i = 0; i < count; ++i) nearest += neighbors[i * k].similarity;
  nearest /= static_cast<double>(std::max<int64_t>(count, 1));
  return StageResult{
      {kNeighborsFile},
      {{"documents", static_cast<double>(count)}, {"nearest", nearest}},
      absl::StrFormat(
          "%d of %d documents each, the nearest %.3f on average%s",
          std::min<int64_t>(k, count - 1), count, nearest,
          k < count ? ""
                    : absl::StrCat(" (k is ", k, ", more than there are)"))};
}

}  // namespace lory::corpus
