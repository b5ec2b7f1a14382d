#include "tools/corpus/clusters.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/random.h"
#include "tools/corpus/exact_search.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

constexpr int64_t kRowsOfGroup = 32;
constexpr int kRounds = 6;
constexpr int64_t kGroupGrain = 16;

// `row` in unit length; zeros stay.
void WriteUnit(const double* row, int32_t dimensions, float* out) {
  double square = 0;
  for (int32_t i = 0; i < dimensions; ++i) square += row[i] * row[i];
  const double inverse = square > 0 ? 1 / std::sqrt(square) : 0;
  for (int32_t i = 0; i < dimensions; ++i) {
    out[i] = static_cast<float>(row[i] * inverse);
  }
}

// As many different rows, by chance.
std::vector<float> FirstMiddles(const RowSet& rows, int64_t groups,
                                uint64_t seed) {
  std::vector<int64_t> numbers(rows.count());
  for (int64_t i = 0; i < rows.count(); ++i) numbers[i] = i;
  Random random(Mix64(seed));
  std::vector<float> middles(groups * rows.dimensions());
  for (int64_t i = 0; i < groups; ++i) {
    std::swap(numbers[i], numbers[i + random.Below(rows.count() - i)]);
    const float* const row = rows.Row(numbers[i]);
    const std::vector<double> values(row, row + rows.dimensions());
    WriteUnit(values.data(), rows.dimensions(),
              middles.data() + i * rows.dimensions());
  }
  return middles;
}

// Moves each middle to the mean of the rows that are nearest to it; one that is
// nearest to none stays.
void Move(const RowSet& rows, std::vector<float>* middles) {
  const int32_t dimensions = rows.dimensions();
  const auto nearest =
      SearchFor(rows, RowSet(*middles, dimensions), 1, {.exact = false});
  std::vector<std::vector<int32_t>> members(middles->size() / dimensions);
  for (size_t i = 0; i < nearest.size(); ++i) {
    members[nearest[i].document].push_back(static_cast<int32_t>(i));
  }
  ParallelFor(static_cast<int64_t>(members.size()), kGroupGrain,
              [&](int64_t begin, int64_t end) {
                for (int64_t group = begin; group < end; ++group) {
                  if (members[group].empty()) continue;
                  std::vector<double> sum(dimensions);
                  for (const int32_t member : members[group]) {
                    const float* const row = rows.Row(member);
                    for (int32_t i = 0; i < dimensions; ++i) sum[i] += row[i];
                  }
                  WriteUnit(sum.data(), dimensions,
                            middles->data() + group * dimensions);
                }
              });
}

}  // namespace

std::vector<float> FindMiddles(const RowSet& rows, int64_t groups,
                               uint64_t seed) {
  groups = std::min(groups, rows.count());
  const int64_t count = std::min(rows.count(), groups * kRowsOfGroup);
  // A copy: read again in each round.
  std::vector<float> table;
  table.reserve(count * rows.dimensions());
  for (int64_t i = 0; i < count; ++i) {
    const float* const row = rows.Row(i * rows.count() / count);
    table.insert(table.end(), row, row + rows.dimensions());
  }
  const RowSet sample(table, rows.dimensions());
  std::vector<float> middles = FirstMiddles(sample, groups, seed);
  for (int round = 0; round < kRounds; ++round) Move(sample, &middles);
  return middles;
}

}  // namespace lory::corpus
