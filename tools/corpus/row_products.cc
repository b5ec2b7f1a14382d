#include "tools/corpus/row_products.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

struct TileArguments {
  const int16_t* group = nullptr;
  const int16_t* panel = nullptr;
  int64_t pairs = 0;
  bool add = false;  // to what `products` has
  int32_t* products = nullptr;
};

void PortableTile(const TileArguments& args) {
  int32_t sums[kGroupRows][kPanelRows] = {};
  for (int64_t k = 0; k < args.pairs; ++k) {
    const int16_t* a = args.group + k * 2 * kGroupRows;
    const int16_t* b = args.panel + k * 2 * kPanelRows;
    for (int r = 0; r < kGroupRows; ++r) {
      for (int c = 0; c < kPanelRows; ++c) {
        sums[r][c] +=
            int32_t{a[2 * r]} * b[2 * c] + int32_t{a[2 * r + 1]} * b[2 * c + 1];
      }
    }
  }
  for (int r = 0; r < kGroupRows; ++r) {
    for (int c = 0; c < kPanelRows; ++c) {
      int32_t& product = args.products[r * kPanelRows + c];
      product = sums[r][c] + (args.add ? product : 0);
    }
  }
}

void PortablePassing(const PassArguments& args, uint16_t* masks) {
  for (int64_t r = 0; r < args.rows; ++r) {
    uint32_t mask = 0;
    for (int c = 0; c < kPanelRows; ++c) {
      const float value =
          ScaledProduct(args.products[r * kPanelRows + c],
                        args.column_scales[c], args.row_scales[r]);
      const bool passes =
          value >= args.row_floors[r] || value >= args.column_floors[c];
      mask |= static_cast<uint32_t>(passes) << c;
    }
    masks[r] = static_cast<uint16_t>(mask);
  }
}

#if defined(__x86_64__)

// Four rows by sixteen: 8 sums, two vectors of the panel and one of a row.
[[gnu::target("avx2")]] void Avx2Tile(const TileArguments& args) {
  __m256i sums[kGroupRows][2];
  auto* const out = reinterpret_cast<__m256i*>(args.products);
#pragma GCC unroll 4
  for (int r = 0; r < kGroupRows; ++r) {
    sums[r][0] =
        args.add ? _mm256_loadu_si256(out + 2 * r) : _mm256_setzero_si256();
    sums[r][1] =
        args.add ? _mm256_loadu_si256(out + 2 * r + 1) : _mm256_setzero_si256();
  }
  const int16_t* a = args.group;
  const auto* b = reinterpret_cast<const __m256i*>(args.panel);
  for (int64_t k = 0; k < args.pairs; ++k) {
    const __m256i low = _mm256_loadu_si256(b);
    const __m256i high = _mm256_loadu_si256(b + 1);
#pragma GCC unroll 4
    for (int r = 0; r < kGroupRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, a + 2 * r, sizeof(pair));
      const __m256i both = _mm256_set1_epi32(pair);
      sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(both, low));
      sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(both, high));
    }
    a += 2 * kGroupRows;
    b += 2;
  }
#pragma GCC unroll 4
  for (int r = 0; r < kGroupRows; ++r) {
    _mm256_storeu_si256(out + 2 * r, sums[r][0]);
    _mm256_storeu_si256(out + 2 * r + 1, sums[r][1]);
  }
}

[[gnu::target("avx2")]] void Avx2Passing(const PassArguments& args,
                                         uint16_t* masks) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const __m256 row_scale = _mm256_set1_ps(args.row_scales[r]);
    const __m256 row_floor = _mm256_set1_ps(args.row_floors[r]);
    uint32_t mask = 0;
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m256i product = _mm256_loadu_si256(
          reinterpret_cast<const __m256i*>(args.products + r * kPanelRows) +
          half);
      const __m256 value = _mm256_mul_ps(
          _mm256_mul_ps(_mm256_cvtepi32_ps(product),
                        _mm256_loadu_ps(args.column_scales + 8 * half)),
          row_scale);
      const __m256 passes = _mm256_or_ps(
          _mm256_cmp_ps(value, row_floor, _CMP_GE_OQ),
          _mm256_cmp_ps(value, _mm256_loadu_ps(args.column_floors + 8 * half),
                        _CMP_GE_OQ));
      mask |= static_cast<uint32_t>(_mm256_movemask_ps(passes)) << (8 * half);
    }
    masks[r] = static_cast<uint16_t>(mask);
  }
}

bool HasAvx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

#endif

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
  auto* tile = PortableTile;
#if defined(__x86_64__)
  if (HasAvx2()) tile = Avx2Tile;
#endif
  for (int64_t first = 0; first < pairs; first += kChunkPairs) {
    for (int64_t g = 0; g < group_count; ++g) {
      tile({.group = groups + (g * pairs + first) * 2 * kGroupRows,
            .panel = panel + first * 2 * kPanelRows,
            .pairs = std::min(kChunkPairs, pairs - first),
            .add = first > 0,
            .products = products + g * kGroupRows * kPanelRows});
    }
  }
}

void FindPassing(const PassArguments& arguments, uint16_t* masks) {
#if defined(__x86_64__)
  if (HasAvx2()) return Avx2Passing(arguments, masks);
#endif
  PortablePassing(arguments, masks);
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
