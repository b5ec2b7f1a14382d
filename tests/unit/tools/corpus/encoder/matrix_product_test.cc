#include "tools/corpus/encoder/matrix_product.h"

#include <cblas.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

TEST(MatrixProduct, ThreadsThatCannotBeHeldAreRefused) {
  EXPECT_OK(CheckOneThreadAProduct(OPENBLAS_SEQUENTIAL, nullptr));
  EXPECT_OK(CheckOneThreadAProduct(OPENBLAS_THREAD, nullptr));
  EXPECT_OK(CheckOneThreadAProduct(OPENBLAS_OPENMP, "1"));
  for (const char* threads : {static_cast<const char*>(nullptr), "", "2"}) {
    EXPECT_THAT(CheckOneThreadAProduct(OPENBLAS_OPENMP, threads),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("set OMP_NUM_THREADS=1")));
  }
}

}  // namespace
}  // namespace lory::corpus
