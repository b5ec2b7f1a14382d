#ifndef LORY_WORKER_OPS_BLAS_H_
#define LORY_WORKER_OPS_BLAS_H_

#include <cstdint>

namespace lory::ops {

// A matrix in row-major memory: row r starts at data + r * stride.
template <typename T>
struct MatrixView {
  T* data;
  int64_t stride;
};

enum class Transpose { kNo, kYes };

// C = op(A) op(B) + beta C; op(A) is rows x depth, op(B) depth x columns, all
// row-major, float or double. The BLAS inside LibTorch: called from within
// at::parallel_for it works on the calling thread alone, which is how the
// kernels here use it. LibTorch's own wrapper is not exported.
void Gemm(Transpose transpose_a, Transpose transpose_b, int64_t rows,
          int64_t columns, int64_t depth, MatrixView<const float> a,
          MatrixView<const float> b, float beta, MatrixView<float> c);
void Gemm(Transpose transpose_a, Transpose transpose_b, int64_t rows,
          int64_t columns, int64_t depth, MatrixView<const double> a,
          MatrixView<const double> b, double beta, MatrixView<double> c);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_BLAS_H_
