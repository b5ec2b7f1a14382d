#include "worker/daemon/trainer_log.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"

namespace lory::daemon {
namespace {

using ::lory::testing::TemporaryFolder;

struct TrainerLogTest : ::testing::Test {
  std::string ReadToEnd(TrainerLogReader& reader) {
    std::string all;
    for (std::string text = reader.Next(); !text.empty();
         text = reader.Next()) {
      all += text;
    }
    return all;
  }

  TemporaryFolder folder;
  const std::string path = folder.At("tiny-0.log");
};

TEST_F(TrainerLogTest, OnlyNamesOfJobsBecomePartsOfPaths) {
  EXPECT_EQ(JobIdOf("jobs/tiny-2"), "tiny-2");
  EXPECT_EQ(LogPath("/logs", "jobs/tiny", 3), "/logs/tiny-3.log");
  for (const char* name : {"tiny", "jobs/", "jobs/../../etc", "jobs/a/b",
                           "jobs/A", "jobs/a b", "workers/a"}) {
    EXPECT_EQ(JobIdOf(name), "") << name;
  }
}

TEST_F(TrainerLogTest, WhatIsWrittenIsReadInWholeLines) {
  TrainerLog log(path, 1 << 20);
  TrainerLogReader reader(path, 0);
  EXPECT_EQ(reader.Next(), "");
  log.Append("one\ntw");
  EXPECT_EQ(reader.Next(), "one\n");
  EXPECT_EQ(reader.Next(), "");
  log.Append("o\n");
  EXPECT_EQ(reader.Next(), "two\n");
}

TEST_F(TrainerLogTest, AFullLogIsRotatedBetweenLines) {
  TrainerLog log(path, 10);
  log.Append("0123456789abc");
  log.Append("def\n");
  log.Append("new\n");
  EXPECT_TRUE(std::filesystem::exists(path + ".1"));
  EXPECT_EQ(std::filesystem::file_size(path), 4u);
  TrainerLogReader reader(path, 0);
  EXPECT_EQ(ReadToEnd(reader), "0123456789abcdef\nnew\n");
}

TEST_F(TrainerLogTest, AFollowerGoesOnAcrossARotation) {
  TrainerLog log(path, 8);
  log.Append("before\n");
  TrainerLogReader reader(path, 0);
  EXPECT_EQ(ReadToEnd(reader), "before\n");
  log.Append("last\n");
  log.Append("after\n");
  std::string all = ReadToEnd(reader);
  all += ReadToEnd(reader);  // the first call only found the end of the old
  EXPECT_EQ(all, "last\nafter\n");
}

TEST_F(TrainerLogTest, ATailBeginsSoManyLinesBeforeTheEnd) {
  TrainerLog log(path, 1 << 20);
  log.Append("1\n2\n3\n");
  TrainerLogReader two(path, 2);
  EXPECT_EQ(ReadToEnd(two), "2\n3\n");
  log.Append("4\n");
  EXPECT_EQ(ReadToEnd(two), "4\n");
  TrainerLogReader many(path, 100);
  EXPECT_EQ(ReadToEnd(many), "1\n2\n3\n4\n");
}

TEST_F(TrainerLogTest, ATailReachesIntoTheRotatedFile) {
  TrainerLog log(path, 4);
  log.Append("1\n2\n");
  log.Append("3\n");
  TrainerLogReader reader(path, 2);
  EXPECT_EQ(ReadToEnd(reader), "2\n3\n");
}

TEST_F(TrainerLogTest, TheLastWordsAreRemembered) {
  TrainerLog log(path, 1 << 20);
  log.Append("first\nout of memory\n\n  \n");
  EXPECT_EQ(log.last_line(), "out of memory");
}

TEST_F(TrainerLogTest, ALogThatCannotBeWrittenDoesNoHarm) {
  TrainerLog log(folder.At("none/x.log"), 10);
  log.Append("words\n");
  EXPECT_EQ(log.last_line(), "words");
  TrainerLogReader reader(folder.At("none/x.log"), 5);
  EXPECT_EQ(reader.Next(), "");
}

}  // namespace
}  // namespace lory::daemon
