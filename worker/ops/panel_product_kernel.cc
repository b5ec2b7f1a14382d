#include "worker/ops/panel_product_kernel.h"

#include "worker/ops/simd.h"

namespace lory::ops::LORY_CPU_LEVEL {
namespace {

// A panel of B serves a block's few rows only, too few to hide how long memory
// takes: while one is worked on, the next is asked for, a share in each tile.
constexpr int kToSecondLevel = 2;

// kRows rows of C by one panel, in registers: 6 rows are 12 sums, which with
// two vectors of B and one number of A fill the 16 registers of AVX2. `ahead`
// is the tile's share of the next panel of B.
template <typename S, typename T, int kRows>
LORY_INLINE void ProductTile(const PanelProductArguments<T>& args, const T* a,
                             const T* b, T* c, const char* ahead) {
  using Vec = typename S::Vec;
  const int64_t ahead_step = 2 * S::kSize * kRows / args.rows;
  Vec sums[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const T* const row = c + r * args.c_row_stride;
    sums[r][0] = args.accumulate ? S::Load(row) : S::All(0);
    sums[r][1] = args.accumulate ? S::Load(row + S::kLanes) : S::All(0);
    __builtin_prefetch(row + args.c_panel_stride, /*write=*/1, kToSecondLevel);
  }
  for (int64_t chunk = 0; chunk < args.chunks; ++chunk) {
    const T* column = a + chunk * args.a_chunk_stride;
    for (int64_t k = 0; k < args.chunk_depth; ++k) {
      const Vec low = S::Load(b);
      const Vec high = S::Load(b + S::kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const Vec weight = S::All(column[r * args.a_row_stride]);
        sums[r][0] += weight * low;
        sums[r][1] += weight * high;
      }
      __builtin_prefetch(ahead, /*write=*/0, kToSecondLevel);
      ahead += ahead_step;
      b += 2 * S::kLanes;
      column += args.a_depth_stride;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    T* const row = c + r * args.c_row_stride;
    S::Store(row, sums[r][0]);
    S::Store(row + S::kLanes, sums[r][1]);
  }
}

template <typename S, typename T, int kRows>
LORY_INLINE int64_t ProductRows(const PanelProductArguments<T>& args,
                                int64_t row, const T* b, T* c) {
  const char* const next =
      reinterpret_cast<const char*>(b + args.b_panel_stride);
  const int64_t panel_bytes = 2 * S::kSize * args.chunks * args.chunk_depth;
  for (; row + kRows <= args.rows; row += kRows) {
    ProductTile<S, T, kRows>(args, args.a + row * args.a_row_stride, b,
                             c + row * args.c_row_stride,
                             next + row * panel_bytes / args.rows);
  }
  return row;
}

template <typename S, typename T>
LORY_INLINE void ProductBody(const PanelProductArguments<T>& args) {
  for (int64_t panel = 0; panel < args.panels; ++panel) {
    const T* const b = args.b + panel * args.b_panel_stride;
    T* const c = args.c + panel * args.c_panel_stride;
    int64_t row = ProductRows<S, T, 6>(args, 0, b, c);
    row = ProductRows<S, T, 4>(args, row, b, c);
    row = ProductRows<S, T, 2>(args, row, b, c);
    ProductRows<S, T, 1>(args, row, b, c);
  }
}

}  // namespace

template <typename T>
void PanelProduct(const PanelProductArguments<T>& arguments) {
  ProductBody<Native<T>, T>(arguments);
}
LORY_INSTANTIATE_KERNEL(PanelProduct, PanelProductArguments)

}  // namespace lory::ops::LORY_CPU_LEVEL
