#include "common/io/mapped_file.h"

#include <sys/stat.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::io {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::HasSubstr;

TEST(MappedFile, HasTheBytesOfTheFile) {
  const TemporaryFolder folder;
  LORY_ASSERT_OK_AND_ASSIGN(const auto some,
                            MappedFile::Open(folder.Write("some", "bytes")));
  EXPECT_EQ(some->bytes(), "bytes");
  LORY_ASSERT_OK_AND_ASSIGN(const auto none,
                            MappedFile::Open(folder.Write("none", "")));
  EXPECT_EQ(none->bytes(), "");
}

TEST(MappedFile, APipeOrAFolderIsRefusedInsteadOfWaitedFor) {
  const TemporaryFolder folder;
  const std::string pipe = folder.At("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(MappedFile::Open(pipe),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("pipe is no regular file")));
  EXPECT_THAT(MappedFile::Open(folder.path()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("is no regular file")));
  EXPECT_THAT(MappedFile::Open(folder.At("none")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

}  // namespace
}  // namespace lory::io
