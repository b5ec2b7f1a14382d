#include "tools/corpus/ingest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/corpus/compress.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/input_files.h"
#include "tools/corpus/line_reader.h"

namespace lory::corpus {
namespace {

using ::lory::testing::CapturedProgress;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct IngestTest : ::testing::Test {
  absl::StatusOr<StageResult> Run(const std::string& text,
                                  int64_t max_errors = 0,
                                  const std::string& domain = "") {
    return Ingest({{.path = folder.Write("in.jsonl", text), .domain = domain}},
                  max_errors, folder.At("out"), captured.progress());
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
  EXPECT_THAT(Run("{\"text\":\"x\"}\nbad\nbad\n", 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::AllOf(HasSubstr("more than 1 bad lines"),
                                        HasSubstr("in.jsonl:3"))));
  EXPECT_TRUE(absl::IsNotFound(DocumentStore::Open(folder.At("out")).status()));
}

TEST_F(IngestTest, AnEmptyCorpusIsAnError) {
  EXPECT_THAT(Run(""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
  EXPECT_THAT(Run("\n\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
}

TEST_F(IngestTest, AMissingInputIsNotFound) {
  EXPECT_THAT(Ingest({{.path = folder.At("no.jsonl")}}, 0, folder.At("out"),
                     captured.progress()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no.jsonl")));
}

TEST_F(IngestTest, AHundredThousandEqualDocumentsAreOne) {
  std::string lines;
  for (int i = 0; i < 100'000; ++i)
    lines += "{\"text\":\"one and the same\"}\n";
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result, Run(lines));
  EXPECT_EQ(result.figures.at("documents"), 1);
  EXPECT_EQ(result.figures.at("duplicates"), 99'999);
  EXPECT_THAT(captured.Take(), HasSubstr("in.jsonl:2: the same text as"));
}

TEST_F(IngestTest, AGiantDocumentIsTakenAndALineTooLongIsCounted) {
  const std::string giant(20 << 20, 'q');
  const std::string too_long(kMaxLineBytes + 1, 'q');
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Run(absl::StrCat("{\"text\":\"", giant, "\"}\n",
                                             too_long, "\n{\"text\":\"x\"}\n"),
                                1));
  EXPECT_EQ(result.figures.at("documents"), 2);
  EXPECT_EQ(result.figures.at("bad_lines"), 1);
  EXPECT_THAT(captured.Take(), HasSubstr("in.jsonl:2: longer than 64 MiB"));
}

TEST_F(IngestTest, WindowsLineEndsAreNoPartOfADocument) {
  ASSERT_OK(Run("{\"text\":\"a\"}\r\n\r\n{\"text\":\"b\"}\n"));
  LORY_ASSERT_OK_AND_ASSIGN(const DocumentStore store,
                            DocumentStore::Open(folder.At("out")));
  ASSERT_EQ(store.count(), 2);
  EXPECT_EQ(store.TextOf(0), "a");
}

TEST_F(IngestTest, LinesKeepTheirOrderOverManyBatches) {
  std::string lines;
  const std::string filler(1000, 'q');
  for (int i = 0; i < 20'000; ++i) {
    absl::StrAppend(&lines, "{\"text\":\"", i, " ", filler, "\"}\n");
  }
  ASSERT_OK(Run(lines));
  LORY_ASSERT_OK_AND_ASSIGN(const DocumentStore store,
                            DocumentStore::Open(folder.At("out")));
  ASSERT_EQ(store.count(), 20'000);
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(store.TextOf(i), absl::StrCat(i, " ", filler));
  }
}

TEST_F(IngestTest, AnEmptyCorpusSaysWhatThereWas) {
  EXPECT_THAT(Run("{\"text\":\"\"}\nbad\n", 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("1 empty ones, 1 bad lines")));
}

struct IngestFolderTest : IngestTest {
  IngestFolderTest() {
    folder.Write("in/b.txt", "second");
    folder.Write("in/a/z.txt", "first");
    folder.Write("in/a/.hidden", "no");
    folder.Write("in/.git/config", "no");
    folder.Write("in/c.txt.gz", Gzipped("third"));
    folder.Write("in/d.jsonl.zst", Zstandard("{\"text\":\"x\"}\n") +
                                       Zstandard("{\"text\":\"y\"}\n"));
  }
  CorpusInput Input(InputFormat format) {
    return {.path = folder.At("in"), .domain = "d", .format = format};
  }
  absl::StatusOr<StageResult> Take(InputFormat format, int max_errors = 0) {
    return Ingest({Input(format)}, max_errors, folder.At("out"),
                  captured.progress());
  }
};

TEST_F(IngestFolderTest, EveryTextFileIsADocumentNamedByItsPath) {
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result, Take(InputFormat::kText));
  EXPECT_EQ(result.figures.at("documents"), 4);
  EXPECT_EQ(result.figures.at("skipped_files"), 2);
  LORY_ASSERT_OK_AND_ASSIGN(const DocumentStore store,
                            DocumentStore::Open(folder.At("out")));
  EXPECT_EQ(store.NameOf(0), "a/z.txt");
  EXPECT_EQ(store.TextOf(0), "first");
  EXPECT_EQ(store.NameOf(1), "b.txt");
  EXPECT_EQ(store.TextOf(2), "third");
  EXPECT_THAT(store.domains(), ElementsAre("d"));
}

TEST_F(IngestFolderTest, OfAFolderOfLinesOnlyThoseFilesAreRead) {
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Take(InputFormat::kJsonLines));
  EXPECT_EQ(result.figures.at("documents"), 2);
  EXPECT_EQ(result.figures.at("skipped_files"), 5);
  EXPECT_THAT(result.summary, HasSubstr("5 files or folders skipped"));
}

TEST_F(IngestTest, ZstandardFilesMayEndInZstOrZstd) {
  folder.Write("in/a.jsonl.zst", Zstandard("{\"text\":\"x\"}\n"));
  folder.Write("in/b.jsonl.zstd", Zstandard("{\"text\":\"y\"}\n"));
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Ingest({{.path = folder.At("in")}}, 0,
                                   folder.At("out"), captured.progress()));
  EXPECT_EQ(result.figures.at("documents"), 2);
}

TEST_F(IngestFolderTest, AFileThatIsNoTextIsCounted) {
  folder.Write("in/e.bin", "\xff\xfe");
  folder.Write("in/f.empty", "");
  EXPECT_THAT(Take(InputFormat::kText),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("e.bin: not UTF-8")));
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Take(InputFormat::kText, 1));
  EXPECT_EQ(result.figures.at("bad_lines"), 1);
  EXPECT_EQ(result.figures.at("empty"), 1);
}

TEST_F(IngestFolderTest, AFolderWithoutFilesIsAnError) {
  folder.Write("none/.hidden", "x");
  CorpusInput input = {.path = folder.At("none")};
  EXPECT_THAT(FilesOf(input), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("looked for *.jsonl")));
  input.format = InputFormat::kText;
  EXPECT_THAT(FilesOf(input), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("1 skipped")));
}

TEST_F(IngestFolderTest, FoldersThatAreNotReadAreCounted) {
  LORY_ASSERT_OK_AND_ASSIGN(const InputFiles before,
                            FilesOf(Input(InputFormat::kText)));
  folder.Write("in/.cache/a", "x");
  folder.Write("in/.cache/deep/b", "x");
  folder.Write("elsewhere/more.txt", "many documents");
  std::filesystem::create_symlink(folder.At("elsewhere"), folder.At("in/link"));
  std::filesystem::create_symlink(folder.At("elsewhere/more.txt"),
                                  folder.At("in/link.txt"));
  LORY_ASSERT_OK_AND_ASSIGN(const InputFiles after,
                            FilesOf(Input(InputFormat::kText)));
  EXPECT_EQ(after.skipped.size(), before.skipped.size() + 2);
  EXPECT_EQ(after.files.size(), before.files.size() + 1);
}

TEST_F(IngestFolderTest, WhatIsNotReadIsNamed) {
  ASSERT_EQ(::mkfifo(folder.At("in/f.jsonl").c_str(), 0600), 0);
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Take(InputFormat::kJsonLines));
  EXPECT_THAT(captured.Take(),
              StartsWith("not read: f.jsonl (no plain file)\n"
                         "not read: a/z.txt (no name of its format)\n"
                         "not read: b.txt"));
  EXPECT_THAT(*io::LocalStorage().Read(folder.At("out/skipped.jsonl")),
              HasSubstr(R"({"name":"f.jsonl","why":"no plain file"})"));
  // What is not read is no reason to do later stages again.
  EXPECT_THAT(result.files, Not(Contains("skipped.jsonl")));
}

TEST_F(IngestFolderTest, ALinkToNothingIsAnErrorWhereAFileWouldBeRead) {
  const std::string link = folder.At("in/more.jsonl.gz");
  std::filesystem::create_symlink("gone.jsonl.gz", link);
  EXPECT_THAT(FilesOf(Input(InputFormat::kJsonLines)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("more.jsonl.gz is a link to gone.jsonl.gz")));
  std::filesystem::remove(link);
  std::filesystem::create_symlink("more.jsonl.gz", link);  // to itself
  EXPECT_THAT(FilesOf(Input(InputFormat::kJsonLines)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("leads to no file")));
  std::filesystem::rename(link, folder.At("in/more.png"));
  EXPECT_OK(FilesOf(Input(InputFormat::kJsonLines)));
  EXPECT_FALSE(FilesOf(Input(InputFormat::kText)).ok());
}

TEST_F(IngestFolderTest, AFolderThatCannotBeReadIsNamed) {
  folder.Write("in/a/deep/x.jsonl", "{}");
  namespace fs = std::filesystem;
  fs::permissions(folder.At("in/a/deep"), fs::perms::none);
  fs::permissions(folder.At("."), fs::perms::all);
  // Root may read all.
  const uid_t user = ::geteuid();
  constexpr uid_t kNobody = 65534;
  if (user == 0) {
    ASSERT_EQ(::seteuid(kNobody), 0);
  }
  const auto found = FilesOf(Input(InputFormat::kJsonLines));
  if (user == 0) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  fs::permissions(folder.At("in/a/deep"), fs::perms::all);
  EXPECT_THAT(found, StatusIs(absl::StatusCode::kPermissionDenied,
                              HasSubstr("/in/a/deep")));
}

TEST_F(IngestFolderTest, WhereTheBuildWritesIsNotRead) {
  folder.Write("in/out/train-00000.bin", "tokens");
  folder.Write("in/out/stages/ingest/stage.json", "{}");
  CorpusInput input = Input(InputFormat::kText);
  LORY_ASSERT_OK_AND_ASSIGN(const InputFiles all, FilesOf(input));
  input.left_out = folder.At("in/../in/out/");
  LORY_ASSERT_OK_AND_ASSIGN(const InputFiles found, FilesOf(input));
  EXPECT_EQ(found.files.size(), all.files.size() - 2);
  EXPECT_EQ(found.skipped.size(), all.skipped.size() + 1);
}

TEST_F(IngestFolderTest, ANameThatIsNotUtf8IsReportedToo) {
  folder.Write("in/z\xff.txt", "first");
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result, Take(InputFormat::kText));
  EXPECT_EQ(result.figures.at("duplicates"), 1);
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string lines,
      io::LocalStorage().Read(folder.At("out/duplicates.jsonl")));
  EXPECT_THAT(lines, HasSubstr("z\uFFFD.txt"));
}

TEST_F(IngestFolderTest, TheHashIsOfNamesAndContentsAlone) {
  const CorpusInput input = Input(InputFormat::kText);
  LORY_ASSERT_OK_AND_ASSIGN(const std::string before, HashOf(input));
  folder.Write("in/b.txt", "second");
  EXPECT_EQ(*HashOf(input), before);
  folder.Write("in/b.txt", "changed");
  const std::string changed = *HashOf(input);
  EXPECT_NE(changed, before);
  folder.Write("in/new.txt", "x");
  EXPECT_NE(*HashOf(input), changed);
}

}  // namespace
}  // namespace lory::corpus
