#include "tools/corpus/row_kernels.h"

#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lory::corpus {
namespace {

// One group's.
struct Tile {
  const int16_t* group;
  const int16_t* panel;
  int64_t pairs;
  bool add;
  int32_t* products;
};

Tile TileOf(const TileArguments& args, int64_t group) {
  return {args.groups + group * args.group_stride, args.panel, args.pairs,
          args.add, args.products + group * kGroupRows * kPanelRows};
}

void PortableTile(const Tile& tile) {
  int32_t sums[kGroupRows][kPanelRows] = {};
  for (int64_t k = 0; k < tile.pairs; ++k) {
    const int16_t* a = tile.group + k * 2 * kGroupRows;
    const int16_t* b = tile.panel + k * 2 * kPanelRows;
    for (int r = 0; r < kGroupRows; ++r) {
      for (int c = 0; c < kPanelRows; ++c) {
        sums[r][c] +=
            int32_t{a[2 * r]} * b[2 * c] + int32_t{a[2 * r + 1]} * b[2 * c + 1];
      }
    }
  }
  for (int r = 0; r < kGroupRows; ++r) {
    for (int c = 0; c < kPanelRows; ++c) {
      int32_t& product = tile.products[r * kPanelRows + c];
      product = sums[r][c] + (tile.add ? product : 0);
    }
  }
}

void PortableTiles(const TileArguments& args) {
  for (int64_t g = 0; g < args.group_count; ++g) PortableTile(TileOf(args, g));
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

int32_t PairAt(const int16_t* numbers) {
  int32_t pair;
  std::memcpy(&pair, numbers, sizeof(pair));
  return pair;
}

// Four rows by sixteen: 8 sums, two vectors of the panel and one of a row.
[[gnu::target("avx2")]] void Avx2Tile(const Tile& tile) {
  __m256i sums[kGroupRows][2];
  auto* const out = reinterpret_cast<__m256i*>(tile.products);
#pragma GCC unroll 4
  for (int r = 0; r < kGroupRows; ++r) {
    sums[r][0] =
        tile.add ? _mm256_loadu_si256(out + 2 * r) : _mm256_setzero_si256();
    sums[r][1] =
        tile.add ? _mm256_loadu_si256(out + 2 * r + 1) : _mm256_setzero_si256();
  }
  const int16_t* a = tile.group;
  const auto* b = reinterpret_cast<const __m256i*>(tile.panel);
  for (int64_t k = 0; k < tile.pairs; ++k) {
    const __m256i low = _mm256_loadu_si256(b);
    const __m256i high = _mm256_loadu_si256(b + 1);
#pragma GCC unroll 4
    for (int r = 0; r < kGroupRows; ++r) {
      const __m256i both = _mm256_set1_epi32(PairAt(a + 2 * r));
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

void Avx2Tiles(const TileArguments& args) {
  for (int64_t g = 0; g < args.group_count; ++g) Avx2Tile(TileOf(args, g));
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

#define LORY_VNNI [[gnu::target("avx512f,avx512bw,avx512vnni")]]

// Eight rows by sixteen, of two groups: eight sums, so that none has to wait
// for its last addition.
LORY_VNNI void VnniTwoTiles(const Tile& first, const int16_t* second_group) {
  __m512i sums[2 * kGroupRows];
#pragma GCC unroll 8
  for (int r = 0; r < 2 * kGroupRows; ++r) {
    sums[r] = first.add ? _mm512_loadu_si512(first.products + r * kPanelRows)
                        : _mm512_setzero_si512();
  }
  const int16_t* a = first.group;
  const int16_t* a2 = second_group;
  const int16_t* b = first.panel;
  for (int64_t k = 0; k < first.pairs; ++k) {
    const __m512i column = _mm512_loadu_si512(b);
#pragma GCC unroll 4
    for (int r = 0; r < kGroupRows; ++r) {
      sums[r] = _mm512_dpwssd_epi32(
          sums[r], _mm512_set1_epi32(PairAt(a + 2 * r)), column);
      sums[kGroupRows + r] = _mm512_dpwssd_epi32(
          sums[kGroupRows + r], _mm512_set1_epi32(PairAt(a2 + 2 * r)), column);
    }
    a += 2 * kGroupRows;
    a2 += 2 * kGroupRows;
    b += 2 * kPanelRows;
  }
#pragma GCC unroll 8
  for (int r = 0; r < 2 * kGroupRows; ++r) {
    _mm512_storeu_si512(first.products + r * kPanelRows, sums[r]);
  }
}

void VnniTiles(const TileArguments& args) {
  int64_t g = 0;
  for (; g + 2 <= args.group_count; g += 2) {
    VnniTwoTiles(TileOf(args, g), TileOf(args, g + 1).group);
  }
  if (g < args.group_count) Avx2Tile(TileOf(args, g));
}

LORY_VNNI void VnniPassing(const PassArguments& args, uint16_t* masks) {
  const __m512 column_scales = _mm512_loadu_ps(args.column_scales);
  const __m512 column_floors = _mm512_loadu_ps(args.column_floors);
  for (int64_t r = 0; r < args.rows; ++r) {
    // By a mask of all: gcc 12 warns of its own header otherwise.
    const __m512 product = _mm512_maskz_cvtepi32_ps(
        0xffff, _mm512_loadu_si512(args.products + r * kPanelRows));
    const __m512 value = _mm512_mul_ps(_mm512_mul_ps(product, column_scales),
                                       _mm512_set1_ps(args.row_scales[r]));
    masks[r] = static_cast<uint16_t>(
        _mm512_cmp_ps_mask(value, _mm512_set1_ps(args.row_floors[r]),
                           _CMP_GE_OQ) |
        _mm512_cmp_ps_mask(value, column_floors, _CMP_GE_OQ));
  }
}

bool HasVnni() {
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx2");
}

#endif

std::vector<RowKernels> FindKernels() {
  std::vector<RowKernels> kernels;
#if defined(__x86_64__)
  if (HasVnni()) kernels.push_back({"avx512-vnni", VnniTiles, VnniPassing});
  if (__builtin_cpu_supports("avx2")) {
    kernels.push_back({"avx2", Avx2Tiles, Avx2Passing});
  }
#endif
  kernels.push_back({"portable", PortableTiles, PortablePassing});
  return kernels;
}

}  // namespace

std::span<const RowKernels> RowKernelsHere() {
  static const std::vector<RowKernels> kernels = FindKernels();
  return kernels;
}

}  // namespace lory::corpus
