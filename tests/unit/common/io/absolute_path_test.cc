#include "common/io/absolute_path.h"

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::io {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

TEST(AbsolutePath, BeginsAtTheRootAndHasNoDots) {
  EXPECT_EQ(*AbsolutePath("/a/./b/../c"), "/a/c");
  EXPECT_EQ(*AbsolutePath("x"),
            (std::filesystem::current_path() / "x").string());
  const std::string deep(5000, 'x');  // longer than a path may be
  EXPECT_EQ(*AbsolutePath("/" + deep), "/" + deep);
}

TEST(AbsolutePath, OfNothingIsAMistake) {
  EXPECT_THAT(AbsolutePath(""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
}

}  // namespace
}  // namespace lory::io
