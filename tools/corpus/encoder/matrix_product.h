#ifndef LORY_TOOLS_CORPUS_ENCODER_MATRIX_PRODUCT_H_
#define LORY_TOOLS_CORPUS_ENCODER_MATRIX_PRODUCT_H_

#include <cstdint>

#include "absl/status/status.h"

// Products of row-major matrices of floats: the one place that includes
// OpenBLAS. How that adds up depends on the shape of a product and on where in
// it a row stands: what is to have the same bits must be computed by itself.
namespace lory::corpus {

// Makes OpenBLAS take one thread a call for as long as it lives, so that
// callers can be many: one at a time in a process.
class OneThreadAProduct {
 public:
  OneThreadAProduct();
  ~OneThreadAProduct();
  OneThreadAProduct(const OneThreadAProduct&) = delete;
  OneThreadAProduct& operator=(const OneThreadAProduct&) = delete;

 private:
  const int before_;
};

// FAILED_PRECONDITION: OpenBLAS is the build for OpenMP, which keeps the number
// of threads by calling thread, so that OneThreadAProduct may not hold the
// others; says what to do. OMP_NUM_THREADS=1 holds them all.
absl::Status CheckOneThreadAProduct();

// The same of `kind` (openblas_get_parallel) and a value of OMP_NUM_THREADS,
// null if it has none.
absl::Status CheckOneThreadAProduct(int kind, const char* omp_threads);

// A matrix inside another: `stride` numbers from row to row.
struct MatrixView {
  const float* data = nullptr;
  int64_t stride = 0;
};

// c = scale * a b^T, or a b: `rows` x `depth` by `depth` x `columns`.
void MultiplyTransposed(int64_t rows, int64_t columns, int64_t depth,
                        float scale, MatrixView a, MatrixView b, float* c,
                        int64_t c_stride);
void Multiply(int64_t rows, int64_t columns, int64_t depth, MatrixView a,
              MatrixView b, float* c, int64_t c_stride);

// y = x weight^T + bias of `rows` rows; weight: `out` x `in`.
void ApplyLinear(int64_t rows, int64_t in, int64_t out, const float* weight,
                 const float* bias, const float* x, float* y);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ENCODER_MATRIX_PRODUCT_H_
