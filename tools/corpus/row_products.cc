#include "tools/corpus/row_products.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tools/corpus/row_kernels.h"

namespace lory::corpus {
namespace {

constexpr float kLargest = 32767;
// Pairs at a time: a panel's part then stays in the first cache.
constexpr int64_t kChunkPairs = 256;
constexpr int32_t kPackedAtOnce = 256;  // numbers of a row
// Adding and taking away 1.5 x 2^23 rounds a small float to a whole number.
constexpr float kRounding = 12582912;

// No more than kLargest in size, as no number of a row exceeds its length.
float Rounded(float value, float inverse) {
  return (value * inverse + kRounding) - kRounding;
}

float InverseOf(const RoundedRow& rounded) {
  return rounded.step == 0 ? 0 : 1 / rounded.step;
}

}  // namespace

RoundedRow MeasureRow(const float* row, int32_t dimensions) {
  double square = 0;
  for (int32_t i = 0; i < dimensions; ++i) square += double{row[i]} * row[i];
  const double length = std::sqrt(square);
  RoundedRow rounded;
  const auto scale = static_cast<float>(length / kLargest);
  if (!std::isfinite(static_cast<float>(length))) return rounded;
  rounded.length = static_cast<float>(length);
  if (scale < 1e-35f) {  // too short to say in how far
    rounded.lost =
        std::nextafter(static_cast<float>(length * 1.0001), kLargest);
    return rounded;
  }
  rounded.step = rounded.scale = scale;
  const float inverse = InverseOf(rounded);
  double lost = 0;
  for (int32_t i = 0; i < dimensions; ++i) {
    const double error = row[i] - double{Rounded(row[i], inverse)} * scale;
    lost += error * error;
  }
  rounded.lost = static_cast<float>(std::sqrt(lost) * 1.0001);
  return rounded;
}

void PackRow(const float* row, int32_t dimensions, const RoundedRow& rounded,
             int place, int stride, int16_t* out) {
  const float inverse = InverseOf(rounded);
  out += 2 * place;
  for (int32_t first = 0; first < dimensions; first += kPackedAtOnce) {
    // Together, then apart: the first half is done by vectors.
    int16_t whole[kPackedAtOnce] = {};
    const int32_t count = std::min(kPackedAtOnce, dimensions - first);
    if (inverse != 0) {
      for (int32_t i = 0; i < count; ++i) {
        whole[i] = static_cast<int16_t>(
            static_cast<int32_t>(Rounded(row[first + i], inverse)));
      }
    }
    for (int32_t i = 0; i < count; i += 2, out += 2 * stride) {
      std::memcpy(out, whole + i, 2 * sizeof(int16_t));
    }
  }
}

void Products(const int16_t* groups, int64_t group_count, const int16_t* panel,
              int64_t pairs, int32_t* products) {
  const RowKernels& kernels = RowKernelsHere().front();
  for (int64_t first = 0; first < pairs; first += kChunkPairs) {
    kernels.tiles({.groups = groups + first * 2 * kGroupRows,
                   .group_stride = pairs * 2 * kGroupRows,
                   .group_count = group_count,
                   .panel = panel + first * 2 * kPanelRows,
                   .pairs = std::min(kChunkPairs, pairs - first),
                   .add = first > 0,
                   .products = products});
  }
}

void FindPassing(const PassArguments& arguments, uint16_t* masks) {
  RowKernelsHere().front().passing(arguments, masks);
}

void FourSimilarities(const float* row, const float* const others[4],
                      int32_t dimensions, double similarities[4]) {
  double sums[4] = {};
  for (int32_t i = 0; i < dimensions; ++i) {
    const double value = row[i];
    for (int j = 0; j < 4; ++j) sums[j] += value * others[j][i];
  }
  std::copy(sums, sums + 4, similarities);
}

}  // namespace lory::corpus
