#include "tests/bench/neighbor_figures.h"

#include <faiss/IndexFlat.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include "common/base/random.h"
#include "tools/corpus/exact_search.h"

namespace lory::corpus {
namespace {

constexpr int kTurns = 3;

double SecondsSince(std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double> passed =
      std::chrono::steady_clock::now() - start;
  return passed.count();
}

// Near normal, by the sum of four.
float Noise(Random& random) {
  double sum = -2;
  for (int i = 0; i < 4; ++i) sum += random.NextDouble();
  return static_cast<float>(sum);
}

// A row is a group's middle, half a topic's middle and as much of its own.
std::vector<float> MadeUpRows(int64_t count, int32_t dimensions) {
  Random random(1);
  const int64_t groups = std::max<int64_t>(count / 40, 1);
  std::vector<float> middles(groups * dimensions);
  for (float& number : middles) number = Noise(random);
  std::vector<float> rows(count * dimensions);
  for (int64_t i = 0; i < count; ++i) {
    float* const row = rows.data() + i * dimensions;
    const float* const group =
        middles.data() + random.Below(groups) * dimensions;
    const float* const topic =
        middles.data() + random.Below(groups / 20 + 1) * dimensions;
    double square = 0;
    for (int32_t j = 0; j < dimensions; ++j) {
      row[j] = group[j] + topic[j] / 2 + Noise(random);
      square += double{row[j]} * row[j];
    }
    for (int32_t j = 0; j < dimensions; ++j) {
      row[j] = static_cast<float>(row[j] / std::sqrt(square));
    }
  }
  return rows;
}

using Lists = std::vector<int32_t>;  // k documents a row

Lists ByFaiss(const faiss::Index& index, const std::vector<float>& rows,
              int32_t k) {
  const auto count = static_cast<int64_t>(rows.size()) / index.d;
  std::vector<float> similarities(count * (k + 1));
  std::vector<faiss::Index::idx_t> found(count * (k + 1));
  index.search(count, rows.data(), k + 1, similarities.data(), found.data());
  Lists lists;
  for (int64_t i = 0; i < count; ++i) {
    const auto row = std::span(found).subspan(i * (k + 1), k + 1);
    const auto self = std::find(row.begin(), row.end(), i);
    for (auto at = row.begin(); at != row.end(); ++at) {
      const bool left_out =
          at == self || (self == row.end() && at + 1 == row.end());
      if (!left_out) lists.push_back(static_cast<int32_t>(*at));
    }
  }
  return lists;
}

Lists ByOurs(const std::vector<float>& rows, int32_t dimensions, int32_t k) {
  Lists lists;
  SearchAll(
      RowSet(rows, dimensions), k, {}, [](int64_t) {},
      [&](std::span<const Neighbor> some) {
        for (const Neighbor& one : some) lists.push_back(one.document);
      });
  return lists;
}

// Of what `wanted` has, how much `found` has in the same row.
double Recall(const Lists& found, const Lists& wanted, int32_t k) {
  int64_t hits = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto row = found.begin() + static_cast<int64_t>(i) / k * k;
    hits += std::count(row, row + k, wanted[i]) != 0;
  }
  return static_cast<double>(hits) / static_cast<double>(wanted.size());
}

}  // namespace

void ExactFigures(int64_t count, int32_t dimensions, int32_t k) {
  const std::vector<float> rows = MadeUpRows(count, dimensions);
  faiss::IndexFlatIP index(dimensions);
  index.add(count, rows.data());
  const double work = 2.0 * static_cast<double>(count) *
                      static_cast<double>(count) * dimensions / 1e9;
  double ours = 1e9, theirs = 1e9;
  Lists our_lists, their_lists;
  for (int turn = 0; turn < kTurns; ++turn) {
    auto start = std::chrono::steady_clock::now();
    our_lists = ByOurs(rows, dimensions, k);
    const double our_seconds = SecondsSince(start);
    start = std::chrono::steady_clock::now();
    their_lists = ByFaiss(index, rows, k);
    const double their_seconds = SecondsSince(start);
    std::printf(
        "knn rows=%ld dimensions=%d k=%d seconds=%.2f (%.0f GFLOP/s of "
        "a double loop) faiss_seconds=%.2f (%.0f)\n",
        count, dimensions, k, our_seconds, work / our_seconds, their_seconds,
        work / their_seconds);
    std::fflush(stdout);
    ours = std::min(ours, our_seconds);
    theirs = std::min(theirs, their_seconds);
  }
  std::printf("knn ratio=%.2f recall=%.5f\n", theirs / ours,
              Recall(our_lists, their_lists, k));
}

}  // namespace lory::corpus
