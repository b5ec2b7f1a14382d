#include "worker/ops/blas.h"

extern "C" {
void sgemm_(const char* transpose_a, const char* transpose_b, const int* m,
            const int* n, const int* k, const float* alpha, const float* a,
            const int* lda, const float* b, const int* ldb, const float* beta,
            float* c, const int* ldc);
void dgemm_(const char* transpose_a, const char* transpose_b, const int* m,
            const int* n, const int* k, const double* alpha, const double* a,
            const int* lda, const double* b, const int* ldb, const double* beta,
            double* c, const int* ldc);
}

namespace lory::ops {
namespace {

const char* Flag(Transpose transpose) {
  return transpose == Transpose::kYes ? "T" : "N";
}

// BLAS is column-major: there our C is its transpose, op(B)^T op(A)^T.
template <typename T, typename Function>
void RowMajor(Function gemm, Transpose transpose_a, Transpose transpose_b,
              int64_t rows, int64_t columns, int64_t depth,
              MatrixView<const T> a, MatrixView<const T> b, T beta,
              MatrixView<T> c) {
  const int m = static_cast<int>(columns);
  const int n = static_cast<int>(rows);
  const int k = static_cast<int>(depth);
  const int lda = static_cast<int>(b.stride);
  const int ldb = static_cast<int>(a.stride);
  const int ldc = static_cast<int>(c.stride);
  const T one = 1;
  gemm(Flag(transpose_b), Flag(transpose_a), &m, &n, &k, &one, b.data, &lda,
       a.data, &ldb, &beta, c.data, &ldc);
}

}  // namespace

void Gemm(Transpose transpose_a, Transpose transpose_b, int64_t rows,
          int64_t columns, int64_t depth, MatrixView<const float> a,
          MatrixView<const float> b, float beta, MatrixView<float> c) {
  RowMajor<float>(sgemm_, transpose_a, transpose_b, rows, columns, depth, a, b,
                  beta, c);
}

void Gemm(Transpose transpose_a, Transpose transpose_b, int64_t rows,
          int64_t columns, int64_t depth, MatrixView<const double> a,
          MatrixView<const double> b, double beta, MatrixView<double> c) {
  RowMajor<double>(dgemm_, transpose_a, transpose_b, rows, columns, depth, a, b,
                   beta, c);
}

}  // namespace lory::ops
