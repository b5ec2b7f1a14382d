#include "tools/corpus/ingest.h"

#include <zlib.h>
#include <zstd.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/corpus/captured_progress.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/line_reader.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Gzipped(const std::string& bytes) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(bytes.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstandard(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(
      ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

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

TEST_F(LineReaderTest, AMissingFileIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(LinesOf(folder.At("no")).status()));
  EXPECT_TRUE(absl::IsNotFound(LinesOf(folder.At("no.zst")).status()));
}

TEST(ParseInputLine, TakesTextNameAndDomain) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const InputLine line,
      ParseInputLine(R"({"id":"x#1","text":"a\nb\u00e9","domain":"news"})"));
  EXPECT_EQ(line.text, "a\nb\u00e9");
  EXPECT_EQ(line.name, "x#1");
  EXPECT_EQ(line.domain, "news");
}

TEST(ParseInputLine, SaysWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"text\": \"\xff\"}", "not UTF-8"},
      {"{\"text\": ", "not JSON"},
      {"hello", "not JSON"},
      {"[1]", "no JSON object"},
      {"{}", "no \"text\""},
      {R"({"text": 7})", "\"text\" is no text"},
      {R"({"text": "a", "id": 7})", "\"id\" is no text"},
      {R"({"text": "a", "domain": "../b"})", "\"domain\" must be"}};
  for (const auto& [line, why] : cases) {
    EXPECT_THAT(ParseInputLine(line), StatusIs(kInvalid, HasSubstr(why)));
  }
}

struct IngestTest : ::testing::Test {
  absl::StatusOr<StageResult> Run(const std::string& text,
                                  int64_t max_errors = 0,
                                  const std::string& domain = "") {
    return Ingest({{folder.Write("in.jsonl", text), domain}}, max_errors,
                  folder.At("out"), captured.progress());
  }

  TemporaryFolder folder;
  CapturedProgress captured;
};

TEST_F(IngestTest, DocumentsAreStoredInTheirOrder) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const StageResult result,
      Run("{\"id\":\"one\",\"text\":\"first\",\"domain\":\"a\"}\n\n"
          "{\"text\":\"second\"}\n"));
  EXPECT_EQ(result.figures.at("documents"), 2);
  LORY_ASSERT_OK_AND_ASSIGN(const DocumentStore store,
                            DocumentStore::Open(folder.At("out")));
  ASSERT_EQ(store.count(), 2);
  EXPECT_EQ(store.NameOf(0), "one");
  EXPECT_EQ(store.TextOf(0), "first");
  EXPECT_EQ(store.TextOf(1), "second");
  EXPECT_THAT(store.domains(), ElementsAre("a", "text"));
  EXPECT_EQ(store.records()[1].domain, 1);
}

TEST_F(IngestTest, TheIdIsTheBeginOfTheTextsHash) {
  // SHA-256 of "abc", FIPS 180-2.
  EXPECT_EQ(ToHex(IdOfText("abc")), "ba7816bf8f01cfea414140de5dae2223");
}

TEST_F(IngestTest, TheDomainOfTheInputOverridesThatOfTheLine) {
  ASSERT_OK(Run(R"({"text":"x","domain":"a"})", 0, "b"));
  LORY_ASSERT_OK_AND_ASSIGN(const DocumentStore store,
                            DocumentStore::Open(folder.At("out")));
  EXPECT_THAT(store.domains(), ElementsAre("b"));
}

TEST_F(IngestTest, EqualTextsAndEmptyOnesAreDroppedAndCounted) {
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Run("{\"text\":\"x\",\"id\":\"1\"}\n"
                                "{\"text\":\"x\",\"id\":\"2\"}\n"
                                "{\"text\":\" \\n \"}\n"));
  EXPECT_EQ(result.figures.at("documents"), 1);
  EXPECT_EQ(result.figures.at("duplicates"), 1);
  EXPECT_EQ(result.figures.at("empty"), 1);
}

TEST_F(IngestTest, BadLinesAreReportedWithFileAndLineAndCounted) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const StageResult result,
      Run("{\"text\":\"x\"}\nnonsense\n{\"text\":\"\xc3\"}\n{\"text\":\"y\"}\n",
          2));
  EXPECT_EQ(result.figures.at("bad_lines"), 2);
  EXPECT_EQ(result.figures.at("documents"), 2);
  const std::string said = captured.Take();
  EXPECT_THAT(said, HasSubstr("in.jsonl:2: not JSON"));
  EXPECT_THAT(said, HasSubstr("in.jsonl:3: not UTF-8"));
}

TEST_F(IngestTest, MoreBadLinesThanAllowedFailAndLeaveNoStore) {
  EXPECT_THAT(
      Run("{\"text\":\"x\"}\nbad\nbad\n", 1),
      StatusIs(kInvalid, ::testing::AllOf(HasSubstr("more than 1 bad lines"),
                                          HasSubstr("in.jsonl:3"))));
  EXPECT_TRUE(absl::IsNotFound(DocumentStore::Open(folder.At("out")).status()));
}

TEST_F(IngestTest, AnEmptyCorpusIsAnError) {
  EXPECT_THAT(Run(""), StatusIs(kInvalid, HasSubstr("empty")));
  EXPECT_THAT(Run("\n\n"), StatusIs(kInvalid, HasSubstr("empty")));
}

TEST_F(IngestTest, AMissingInputIsNotFound) {
  EXPECT_THAT(Ingest({{folder.At("no.jsonl"), ""}}, 0, folder.At("out"),
                     captured.progress()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no.jsonl")));
}

}  // namespace
}  // namespace lory::corpus
