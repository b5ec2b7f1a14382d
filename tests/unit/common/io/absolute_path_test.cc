#include "common/io/absolute_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

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

TEST(ExistingFolder, IsToldWithoutLinks) {
  const lory::testing::TemporaryFolder folder;
  std::filesystem::create_directory_symlink(folder.path(), folder.At("link"));
  EXPECT_EQ(*ExistingFolder("--storage-root", folder.At("link")),
            folder.path());
}

TEST(ExistingFolder, IsNeverMade) {
  const lory::testing::TemporaryFolder folder;
  EXPECT_THAT(
      ExistingFolder("--storage-root", folder.At("nope")),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr(absl::StrCat(
                   "--storage-root: there is no folder ", folder.At("nope"),
                   "; mount it, or make it with `mkdir -p "))));
  EXPECT_FALSE(std::filesystem::exists(folder.At("nope")));
  EXPECT_THAT(ExistingFolder("--storage-root", folder.Write("file", "")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is no folder")));
}

TEST(WritableFolder, IsOneWhereThisProcessMayMakeFiles) {
  const lory::testing::TemporaryFolder folder;
  EXPECT_EQ(*WritableFolder("--storage-root", folder.path()), folder.path());
  std::filesystem::create_directory(folder.At("closed"));
  ASSERT_EQ(::chmod(folder.At("closed").c_str(), 0555), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  // Root may write anywhere.
  const uid_t user = ::geteuid();
  ASSERT_EQ(::seteuid(user == 0 ? 65534 : user), 0);
  const auto closed = WritableFolder("--storage-root", folder.At("closed"));
  ASSERT_EQ(::seteuid(user), 0);
  EXPECT_THAT(closed, StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("closed cannot be written by user")));
}

}  // namespace
}  // namespace lory::io
