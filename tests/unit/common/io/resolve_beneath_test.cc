#include <filesystem>

#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::io {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::HasSubstr;

const auto kDenied = absl::StatusCode::kPermissionDenied;

struct ResolveBeneathTest : ::testing::Test {
  ResolveBeneathTest() {
    folder.Write("root/data/a.bin", "a");
    folder.Write("other/b.bin", "b");
    folder.Write("rootless/c.bin", "c");
  }
  absl::StatusOr<std::string> Resolve(const std::string& path) {
    return ResolveBeneath(path, {folder.At("root")});
  }

  TemporaryFolder folder;
};

TEST_F(ResolveBeneathTest, APathInsideIsMadeAbsolute) {
  for (const std::string& path :
       {folder.At("root/data/a.bin"), folder.At("root//data/./a.bin"),
        folder.At("root/data/../data/a.bin"), std::string("data/a.bin")}) {
    LORY_ASSERT_OK_AND_ASSIGN(const std::string resolved, Resolve(path));
    EXPECT_EQ(resolved, folder.At("root/data/a.bin")) << path;
  }
}

TEST_F(ResolveBeneathTest, TheRootItselfIsBeneathItself) {
  LORY_ASSERT_OK_AND_ASSIGN(const std::string resolved,
                            Resolve(folder.At("root/")));
  EXPECT_EQ(resolved, folder.At("root"));
}

TEST_F(ResolveBeneathTest, DotsThatLeaveTheRootAreRefused) {
  EXPECT_THAT(Resolve(folder.At("root/../other/b.bin")),
              StatusIs(kDenied, HasSubstr("is not beneath")));
  EXPECT_THAT(Resolve("../other/b.bin"), StatusIs(kDenied, HasSubstr("")));
  EXPECT_THAT(Resolve("data/../../other/b.bin"),
              StatusIs(kDenied, HasSubstr("")));
}

TEST_F(ResolveBeneathTest, AbsolutePathsElsewhereAreRefused) {
  EXPECT_THAT(Resolve("/etc/passwd"), StatusIs(kDenied, HasSubstr("")));
  // Begins with the same letters as the root, but is another folder.
  EXPECT_THAT(Resolve(folder.At("rootless/c.bin")),
              StatusIs(kDenied, HasSubstr("")));
}

TEST_F(ResolveBeneathTest, LinksThatLeaveTheRootAreRefused) {
  namespace fs = std::filesystem;
  fs::create_symlink(folder.At("other"), folder.At("root/absolute"));
  fs::create_symlink("../other", folder.At("root/relative"));
  fs::create_symlink("../../other/b.bin", folder.At("root/data/file"));
  for (const char* path : {"absolute/b.bin", "relative/b.bin", "data/file"}) {
    EXPECT_THAT(Resolve(path), StatusIs(kDenied, HasSubstr(""))) << path;
  }
}

TEST_F(ResolveBeneathTest, LinksThatStayInsideAreFollowed) {
  std::filesystem::create_symlink("data", folder.At("root/link"));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string resolved, Resolve("link/a.bin"));
  EXPECT_EQ(resolved, folder.At("root/data/a.bin"));
}

TEST_F(ResolveBeneathTest, ARootThatIsALinkWorksUnderBothNames) {
  std::filesystem::create_symlink("root", folder.At("alias"));
  for (const char* name : {"alias/data/a.bin", "root/data/a.bin"}) {
    LORY_ASSERT_OK_AND_ASSIGN(
        const std::string resolved,
        ResolveBeneath(folder.At(name), {folder.At("alias")}));
    EXPECT_EQ(resolved, folder.At("root/data/a.bin"));
  }
}

TEST_F(ResolveBeneathTest, WhatIsInsideButMissingIsNotFound) {
  EXPECT_THAT(Resolve(folder.At("root/no")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("root/no")));
}

TEST_F(ResolveBeneathTest, AnyOfSeveralRootsWillDo) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string resolved,
      ResolveBeneath(folder.At("other/b.bin"),
                     {folder.At("root"), folder.At("other")}));
  EXPECT_EQ(resolved, folder.At("other/b.bin"));
  EXPECT_THAT(ResolveBeneath(folder.At("other/b.bin"), {}),
              StatusIs(kDenied, HasSubstr("")));
}

TEST_F(ResolveBeneathTest, AZeroByteCannotShortenAPath) {
  EXPECT_THAT(Resolve(std::string("data/a.bin\0x", 12)),
              StatusIs(kDenied, HasSubstr("")));
}

}  // namespace
}  // namespace lory::io
