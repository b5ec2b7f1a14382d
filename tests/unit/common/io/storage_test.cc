#include "common/io/storage.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "common/base/hash.h"
#include "common/io/errno_status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/faulty_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::io {
namespace {

using ::lory::testing::FaultyStorage;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Everything in a folder, temporary files too.
int EntriesIn(const std::string& folder) {
  int count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::recursive_directory_iterator(folder)) {
    ++count;
  }
  return count;
}

struct LocalStorageTest : ::testing::Test {
  TemporaryFolder folder;
  Storage& storage = LocalStorage();
};

TEST_F(LocalStorageTest, WhatIsWrittenIsReadBack) {
  const std::string bytes(3'000'001, 'x');
  ASSERT_OK(storage.Write(folder.At("a/b/c"), bytes));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string read,
                            storage.Read(folder.At("a/b/c")));
  EXPECT_TRUE(read == bytes);
  LORY_ASSERT_OK_AND_ASSIGN(const int64_t size,
                            storage.Size(folder.At("a/b/c")));
  EXPECT_EQ(size, 3'000'001);
}

TEST_F(LocalStorageTest, ABareNameIsInTheWorkingDirectory) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  EXPECT_OK(storage.Write("bare", "x"));
  EXPECT_OK(storage.Write("new/bare", "y"));
  std::filesystem::current_path(before);
  EXPECT_EQ(storage.Read(folder.At("bare")).value_or(""), "x");
  EXPECT_EQ(storage.Read(folder.At("new/bare")).value_or(""), "y");
}

TEST_F(LocalStorageTest, ManySmallAppendsKeepTheirOrder) {
  LORY_ASSERT_OK_AND_ASSIGN(auto writer, storage.Create(folder.At("f")));
  std::string expected;
  for (int i = 0; i < 100'000; ++i) {
    const std::string piece = std::to_string(i);
    expected += piece;
    ASSERT_OK(writer->Append(piece));
  }
  ASSERT_OK(writer->Commit());
  LORY_ASSERT_OK_AND_ASSIGN(const std::string read,
                            storage.Read(folder.At("f")));
  EXPECT_TRUE(read == expected);
}

TEST_F(LocalStorageTest, AFileAppearsOnlyWhenItIsCommitted) {
  LORY_ASSERT_OK_AND_ASSIGN(auto writer, storage.Create(folder.At("f")));
  ASSERT_OK(writer->Append("half"));
  LORY_ASSERT_OK_AND_ASSIGN(auto names, storage.List(folder.path()));
  EXPECT_THAT(names, IsEmpty());
  EXPECT_THAT(storage.Read(folder.At("f")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/f")));
  ASSERT_OK(writer->Commit());
  LORY_ASSERT_OK_AND_ASSIGN(names, storage.List(folder.path()));
  EXPECT_THAT(names, ElementsAre("f"));
}

TEST_F(LocalStorageTest, AWriterThatIsDroppedLeavesNothing) {
  ASSERT_OK(storage.Write(folder.At("f"), "old"));
  {
    LORY_ASSERT_OK_AND_ASSIGN(auto writer, storage.Create(folder.At("f")));
    ASSERT_OK(writer->Append(std::string(1 << 20, 'n')));
  }
  EXPECT_EQ(EntriesIn(folder.path()), 1);
  LORY_ASSERT_OK_AND_ASSIGN(const std::string read,
                            storage.Read(folder.At("f")));
  EXPECT_EQ(read, "old");
}

TEST_F(LocalStorageTest, ANewFileReplacesTheOldOne) {
  ASSERT_OK(storage.Write(folder.At("f"), "old and longer"));
  ASSERT_OK(storage.Write(folder.At("f"), "new"));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string read,
                            storage.Read(folder.At("f")));
  EXPECT_EQ(read, "new");
}

TEST_F(LocalStorageTest, ListIsSortedAndAMissingFolderIsEmpty) {
  for (const char* name : {"b", "a", "c"}) folder.Write(name, "");
  LORY_ASSERT_OK_AND_ASSIGN(const auto names, storage.List(folder.path()));
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
  LORY_ASSERT_OK_AND_ASSIGN(const auto none, storage.List(folder.At("no")));
  EXPECT_THAT(none, IsEmpty());
}

TEST_F(LocalStorageTest, RemoveTakesFoldersWholeAndForgivesWhatIsGone) {
  folder.Write("d/e/f", "x");
  ASSERT_OK(storage.Remove(folder.At("d")));
  EXPECT_EQ(EntriesIn(folder.path()), 0);
  EXPECT_OK(storage.Remove(folder.At("d")));
}

TEST_F(LocalStorageTest, AFileInTheWayOfAFolderIsAnError) {
  folder.Write("f", "x");
  EXPECT_THAT(storage.Write(folder.At("f/g"), "y"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("f/g")));
}

TEST_F(LocalStorageTest, APipeIsRefusedInsteadOfWaitedFor) {
  const std::string pipe = folder.At("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(storage.Read(pipe),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("pipe is no regular file")));
}

TEST_F(LocalStorageTest, TheFileHashEqualsThatOfItsBytes) {
  const std::string bytes(2'500'000, 'q');
  LORY_ASSERT_OK_AND_ASSIGN(const std::string hash,
                            FileSha256Hex(folder.Write("f", bytes)));
  EXPECT_EQ(hash, Sha256Hex(bytes));
}

TEST_F(LocalStorageTest, HashingALargeFileIsSeenToGetOn) {
  const std::string path = folder.Write("f", std::string(3 << 20, 'q'));
  int progress = 0;
  ASSERT_OK(FileSha256Hex(path, /*stop=*/{}, [&] { ++progress; }).status());
  EXPECT_GE(progress, 3);
}

TEST(FaultyStorage, EveryPlaceThatCanFailLeavesTheOldFileAndNoOther) {
  TemporaryFolder folder;
  folder.Write("f", "old");
  for (int nth = 1; nth <= 2; ++nth) {  // Append, Commit
    FaultyStorage storage(LocalStorage());
    storage.FailWrite(nth, absl::InternalError("cable pulled"));
    EXPECT_THAT(storage.Write(folder.At("f"), "new"),
                StatusIs(absl::StatusCode::kInternal, "cable pulled"));
    EXPECT_EQ(EntriesIn(folder.path()), 1);
    LORY_ASSERT_OK_AND_ASSIGN(const std::string read,
                              storage.Read(folder.At("f")));
    EXPECT_EQ(read, "old");
  }
}

TEST(FaultyStorage, AFullDiskIsResourceExhaustedAndLeavesNothing) {
  TemporaryFolder folder;
  FaultyStorage storage(LocalStorage());
  storage.LimitBytes(10);
  ASSERT_OK(storage.Write(folder.At("fits"), "0123456789"));
  EXPECT_THAT(storage.Write(folder.At("not"), "x"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("")));
  EXPECT_EQ(EntriesIn(folder.path()), 1);
  storage.Heal();
  EXPECT_OK(storage.Write(folder.At("not"), "x"));
}

TEST(ErrnoStatus, TellsFullDisksFromMissingFiles) {
  EXPECT_THAT(ErrnoStatus(ENOSPC, "writing /x"),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       "writing /x: No space left on device"));
  EXPECT_TRUE(absl::IsNotFound(ErrnoStatus(ENOENT, "x")));
  EXPECT_TRUE(absl::IsPermissionDenied(ErrnoStatus(EACCES, "x")));
  EXPECT_TRUE(absl::IsInternal(ErrnoStatus(EIO, "x")));
}

}  // namespace
}  // namespace lory::io
