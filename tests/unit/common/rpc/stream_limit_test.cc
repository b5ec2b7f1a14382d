#include "common/rpc/stream_limit.h"

#include "common/base/error_detail.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::rpc {
namespace {

TEST(StreamLimit, APlaceThatWasGivenBackCanBeTakenAgain) {
  StreamLimit limit(2);
  LORY_ASSERT_OK_AND_ASSIGN(auto first, limit.Take());
  LORY_ASSERT_OK_AND_ASSIGN(const auto second, limit.Take());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ReasonOf(limit.Take().status()), "TOO_MANY_STREAMS");
  }
  first.reset();
  EXPECT_OK(limit.Take());
}

}  // namespace
}  // namespace lory::rpc
