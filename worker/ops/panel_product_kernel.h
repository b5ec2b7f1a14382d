#ifndef LORY_WORKER_OPS_PANEL_PRODUCT_KERNEL_H_
#define LORY_WORKER_OPS_PANEL_PRODUCT_KERNEL_H_

#include <cstdint>

#include "worker/ops/cpu_level.h"

// Matrix products without packing. The operand that vectors run along lies in
// panels of two vectors' width; the other is read a number at a time, so that
// it may lie anywhere, such as in weights merged a moment ago. A general GEMM
// copies both operands into its own order at every call, which at the sizes of
// one segment costs as much as the arithmetic.
namespace lory::ops {

// C = A B, added to what is there if `accumulate`: `rows` rows, B and C in
// `panels` panels. Number (r, k) of A, k in chunks of chunk_depth, is
//   a[chunk * a_chunk_stride + r * a_row_stride + k * a_depth_stride]
// rows of B follow each other; rows of C are c_row_stride apart.
template <typename T>
struct PanelProductArguments {
  int64_t rows;
  int64_t panels;
  int64_t chunks;
  int64_t chunk_depth;
  const T* a;
  int64_t a_row_stride;
  int64_t a_depth_stride;
  int64_t a_chunk_stride;
  const T* b;
  int64_t b_panel_stride;
  T* c;
  int64_t c_row_stride;
  int64_t c_panel_stride;
  bool accumulate;
};
LORY_DECLARE_KERNEL(PanelProduct, PanelProductArguments)

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_PANEL_PRODUCT_KERNEL_H_
