#include "worker/train/torch_guard.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include <cstdint>
#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::train {
namespace {

using ::lory::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(GuardTorch, ReturnsWhatTheCallableReturns) {
  EXPECT_EQ(*GuardTorch("adding", [] { return 1 + 1; }), 2);
  EXPECT_OK(GuardTorch("nothing", [] {}));
  EXPECT_THAT(GuardTorch("reading", [] { return absl::DataLossError("torn"); }),
              StatusIs(absl::StatusCode::kDataLoss, "torn"));
  EXPECT_EQ(*GuardTorch("reading", [] { return absl::StatusOr<int>(3); }), 3);
}

TEST(GuardTorch, AMistakeIsInternalAndSaysWhere) {
  EXPECT_THAT(
      GuardTorch("forward pass",
                 [] {
                   return at::matmul(at::ones({2, 3}), at::ones({2, 3}));
                 }),
      StatusIs(absl::StatusCode::kInternal,
               AllOf(StartsWith("forward pass: "), HasSubstr("2x3"))));
  EXPECT_THAT(
      GuardTorch("loading", [] { throw std::runtime_error("no such key"); }),
      StatusIs(absl::StatusCode::kInternal, "loading: no such key"));
}

TEST(GuardTorch, NoMemoryIsResourceExhausted) {
  // More than an address space: refused at once on every machine.
  constexpr int64_t kTooMuch = int64_t{1} << 50;
  EXPECT_THAT(GuardTorch("allocating", [] { return at::empty({kTooMuch}); }),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       StartsWith("allocating: ")));
  EXPECT_THAT(GuardTorch("allocating", [] { throw std::bad_alloc(); }),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       "allocating: out of memory"));
}

}  // namespace
}  // namespace lory::train
