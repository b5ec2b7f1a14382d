#include "tools/corpus/encoder/matrix_product.h"

#include <cblas.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/string_view.h"

namespace lory::corpus {
namespace {

blasint Blas(int64_t size) { return static_cast<blasint>(size); }

}  // namespace

OneThreadAProduct::OneThreadAProduct() : before_(openblas_get_num_threads()) {
  openblas_set_num_threads(1);
}

OneThreadAProduct::~OneThreadAProduct() { openblas_set_num_threads(before_); }

absl::Status CheckOneThreadAProduct() {
  return CheckOneThreadAProduct(openblas_get_parallel(),
                                std::getenv("OMP_NUM_THREADS"));
}

absl::Status CheckOneThreadAProduct(int kind, const char* omp_threads) {
  if (kind != OPENBLAS_OPENMP) return absl::OkStatus();
  if (omp_threads != nullptr && absl::string_view(omp_threads) == "1") {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      "OpenBLAS is the build for OpenMP, whose threads an encoder cannot hold "
      "back: set OMP_NUM_THREADS=1, or install the build for pthreads "
      "(libopenblas0-pthread)");
}

void MultiplyTransposed(int64_t rows, int64_t columns, int64_t depth,
                        float scale, MatrixView a, MatrixView b, float* c,
                        int64_t c_stride) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, Blas(rows),
              Blas(columns), Blas(depth), scale, a.data, Blas(a.stride), b.data,
              Blas(b.stride), 0, c, Blas(c_stride));
}

void Multiply(int64_t rows, int64_t columns, int64_t depth, MatrixView a,
              MatrixView b, float* c, int64_t c_stride) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, Blas(rows),
              Blas(columns), Blas(depth), 1, a.data, Blas(a.stride), b.data,
              Blas(b.stride), 0, c, Blas(c_stride));
}

void ApplyLinear(int64_t rows, int64_t in, int64_t out, const float* weight,
                 const float* bias, const float* x, float* y) {
  for (int64_t i = 0; i < rows; ++i) std::copy(bias, bias + out, y + i * out);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, Blas(rows), Blas(out),
              Blas(in), 1, x, Blas(in), weight, Blas(in), 1, y, Blas(out));
}

}  // namespace lory::corpus
