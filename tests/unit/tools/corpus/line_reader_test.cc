#include "tools/corpus/line_reader.h"

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/corpus/compress.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<std::vector<std::string>> LinesOf(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const auto reader, LineReader::Open(path));
  std::vector<std::string> lines;
  while (true) {
    LORY_ASSIGN_OR_RETURN(const auto line, reader->Next());
    if (!line) return lines;
    lines.push_back(std::string(*line));
  }
}

struct LineReaderTest : ::testing::Test {
  TemporaryFolder folder;
};

TEST_F(LineReaderTest, ReadsPlainAndCompressedFilesAlike) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) absl::StrAppend(&text, i, "\n");
  const std::vector<std::string> paths = {
      folder.Write("a", text), folder.Write("a.gz", Gzipped(text)),
      folder.Write("a.zst", Zstandard(text))};
  for (const std::string& path : paths) {
    LORY_ASSERT_OK_AND_ASSIGN(const auto lines, LinesOf(path));
    ASSERT_EQ(lines.size(), 300'000u) << path;
    EXPECT_EQ(lines[123'456], "123456");
    EXPECT_EQ(lines.back(), "299999");
  }
}

TEST_F(LineReaderTest, TheLastLineNeedsNoEnd) {
  LORY_ASSERT_OK_AND_ASSIGN(auto lines, LinesOf(folder.Write("a", "x\n\ny")));
  EXPECT_THAT(lines, ElementsAre("x", "", "y"));
  LORY_ASSERT_OK_AND_ASSIGN(lines, LinesOf(folder.Write("b", "")));
  EXPECT_TRUE(lines.empty());
}

TEST_F(LineReaderTest, SeveralMembersAreReadAsOneFile) {
  LORY_ASSERT_OK_AND_ASSIGN(
      auto lines, LinesOf(folder.Write("a.gz", Gzipped("x\n") + Gzipped("y"))));
  EXPECT_THAT(lines, ElementsAre("x", "y"));
  LORY_ASSERT_OK_AND_ASSIGN(
      lines, LinesOf(folder.Write("a.zst", Zstandard("x\n") + Zstandard("y"))));
  EXPECT_THAT(lines, ElementsAre("x", "y"));
}

TEST_F(LineReaderTest, CompressedFilesThatAreCutOffAreDataLoss) {
  const std::string text(100'000, 'q');
  const std::string gz = Gzipped(text);
  const std::string zst = Zstandard(text + "unlike");
  EXPECT_THAT(LinesOf(folder.Write("a.gz", gz.substr(0, gz.size() / 2))),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a.gz")));
  EXPECT_THAT(LinesOf(folder.Write("a.zst", zst.substr(0, zst.size() / 2))),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a.zst")));
  EXPECT_THAT(LinesOf(folder.Write("b.zst", "no such thing")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("b.zst")));
}

TEST_F(LineReaderTest, AWindowThatIsTooLargeIsSaidWithAWayOut) {
  // A frame of one empty block with a window of 256 MiB (RFC 8878).
  const std::string frame("\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00", 9);
  EXPECT_THAT(LinesOf(folder.Write("a.zst", frame)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("a.zst: "), HasSubstr("128 MiB"),
                             HasSubstr("zstd --long=27"))));
}

TEST_F(LineReaderTest, AMissingFileIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(LinesOf(folder.At("no")).status()));
  EXPECT_TRUE(absl::IsNotFound(LinesOf(folder.At("no.zst")).status()));
}

TEST_F(LineReaderTest, DataThatFillsTheBufferExactlyIsReadToItsEnd) {
  // Decompressors hold back what does not fit: the file may end before it.
  for (const size_t size : {(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20}) {
    const std::string text(size, 'q');
    for (const std::string& path : {folder.Write("a.gz", Gzipped(text)),
                                    folder.Write("a.zst", Zstandard(text))}) {
      LORY_ASSERT_OK_AND_ASSIGN(const auto lines, LinesOf(path));
      ASSERT_EQ(lines.size(), 1u) << path << size;
      EXPECT_EQ(lines[0].size(), size) << path;
    }
  }
}

TEST_F(LineReaderTest, EveryCutOfACompressedFileIsDataLoss) {
  Random random(1);
  std::string text;
  for (int i = 0; i < 50; ++i) absl::StrAppend(&text, random.Next(), "\n");
  for (const auto& [name, bytes] :
       {std::pair("a.gz", Gzipped(text)), {"a.zst", Zstandard(text)}}) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_THAT(LinesOf(folder.Write(name, bytes.substr(0, size))),
                  StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut off")))
          << name << " " << size;
    }
    EXPECT_OK(LinesOf(folder.Write(name, bytes)));
    EXPECT_THAT(LinesOf(folder.Write(name, bytes + "what is this?")),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name)));
  }
}

TEST_F(LineReaderTest, DamageNamesTheLastWholeLine) {
  std::string gz = Gzipped("one\ntwo\n") + Gzipped("three\n");
  EXPECT_THAT(LinesOf(folder.Write("a.gz", gz.substr(0, gz.size() - 4))),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("after line 3")));
}

TEST_F(LineReaderTest, ALineThatIsTooLongIsSkippedAndNumbered) {
  const std::string text = "one\n" + std::string(kMaxLineBytes + 1, 'q') +
                           "\nthree\n" + std::string(kMaxLineBytes + 9, 'q');
  LORY_ASSERT_OK_AND_ASSIGN(const auto reader,
                            LineReader::Open(folder.Write("a", text)));
  EXPECT_EQ(**reader->Next(), "one");
  EXPECT_THAT(reader->Next(), StatusIs(absl::StatusCode::kOutOfRange,
                                       HasSubstr("longer than 64 MiB")));
  EXPECT_EQ(reader->line_number(), 2);
  EXPECT_EQ(**reader->Next(), "three");
  EXPECT_EQ(reader->line_number(), 3);
  EXPECT_TRUE(absl::IsOutOfRange(reader->Next().status()));
  EXPECT_EQ(*reader->Next(), std::nullopt);
}

TEST_F(LineReaderTest, AByteOrderMarkIsNoPartOfTheFirstLine) {
  LORY_ASSERT_OK_AND_ASSIGN(const auto lines,
                            LinesOf(folder.Write("a",
                                                 "\xEF\xBB\xBFx\n\xEF\xBB"
                                                 "\xBFy")));
  EXPECT_THAT(lines, ElementsAre("x", "\xEF\xBB\xBFy"));
}

}  // namespace
}  // namespace lory::corpus
