#include "tools/loryctl/study_folder.h"

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "tests/unit/tools/loryctl/study_fixture.h"
#include "tools/loryctl/study_results.h"

namespace lory::ctl {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct StudyFolderTest : StudyTest {};

TEST_F(StudyFolderTest, ResultsOfJobsThatAreGoneAreKept) {
  ASSERT_EQ(Study("run").code, 0);
  const std::string tables = Result("results.md"), rows = Result("results.csv");
  fake.Change([this] { fake.jobs.erase(fake.jobs.begin() + 1); });
  Outcome outcome = Study("report");
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(
      outcome.err,
      AllOf(HasSubstr("small.results/results.csv has results of 4 jobs, "
                      "of 1 of which the coordinator has none now "
                      "(small-dense-s1)"),
            HasSubstr("--force"), Not(HasSubstr("written"))));
  EXPECT_THAT(outcome.out, HasSubstr("1/2"));  // the table is shown
  EXPECT_EQ(Result("results.md"), tables);
  EXPECT_EQ(Result("results.csv"), rows);
  EXPECT_NE(Result("results.svg"), "");
  fake.Change([this] { fake.jobs.clear(); });
  EXPECT_EQ(Study("report").code, 5);
  EXPECT_EQ(Result("results.md"), tables);
  outcome = Study("report", kStudy, {"--force"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(Result("results.md"), HasSubstr("0 of 4 jobs succeeded"));
  EXPECT_EQ(Result("results.svg"), "");
  // More than there were is no loss.
  EXPECT_EQ(Study("run").code, 0);
  EXPECT_EQ(Result("results.csv"), rows);
}

TEST_F(StudyFolderTest, TablesWithoutTheirRowsAreKept) {
  ASSERT_EQ(Study("run").code, 0);
  const std::string rows = Result("results.csv");
  std::filesystem::remove(folder.At("small.results/results.csv"));
  // All that they can have is there still.
  EXPECT_EQ(Study("report").code, 0);
  EXPECT_EQ(Result("results.csv"), rows);
  const std::string tables = Result("results.md");
  std::filesystem::remove(folder.At("small.results/results.csv"));
  fake.Change([this] { fake.jobs.clear(); });
  Outcome outcome = Study("report");
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("small.results/results.md stands there without "
                              "results.csv"),
                    HasSubstr("--force")));
  EXPECT_EQ(Result("results.md"), tables);
  EXPECT_FALSE(std::filesystem::exists(folder.At("small.results/results.csv")));
  outcome = Study("report", kStudy, {"--force"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(Result("results.md"), HasSubstr("0 of 4 jobs succeeded"));
}

TEST_F(StudyFolderTest, WhatAPersonAddedOutsideOfTheMarksIsKept) {
  ASSERT_EQ(Study("run").code, 0);
  const std::string tables = Result("results.md");
  const size_t begin = tables.find("<!--");
  ASSERT_NE(begin, std::string::npos);
  const std::string mine = tables.substr(0, begin) + "Read this first.\n\n" +
                           tables.substr(begin) + "\nWhat I make of it.\n";
  folder.Write("small.results/results.md", mine);
  fake.Change([this] {
    fake.jobs[0]
        .mutable_progress()
        ->mutable_evaluation()
        ->mutable_overall()
        ->set_loss(2.5);
  });
  const Outcome outcome = Study("report");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const std::string now = Result("results.md");
  EXPECT_THAT(now, AllOf(HasSubstr("# Study small\n\nRead this first.\n\n<!--"),
                         HasSubstr("-->\n\nWhat I make of it.\n"),
                         Not(HasSubstr(tables.substr(begin)))));
  // Nor does it grow.
  EXPECT_EQ(Study("report").code, 0);
  EXPECT_EQ(Result("results.md").size(), now.size());
}

TEST_F(StudyFolderTest, MarksAreFoundHoweverLinesEnd) {
  ASSERT_EQ(Study("run").code, 0);
  std::string tables = Result("results.md");
  tables.pop_back();  // as an editor strips the last newline
  for (const std::string& text :
       {tables, absl::StrReplaceAll(tables + "\nMine.\n", {{"\n", "\r\n"}})}) {
    folder.Write("small.results/results.md", text);
    const Outcome outcome = Study("report");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(Result("results.md.before"), "");
  }
  EXPECT_THAT(Result("results.md"), EndsWith("-->\r\nMine.\r\n"));
}

TEST_F(StudyFolderTest, TablesWithoutMarksAreKeptBesideTheNew) {
  const std::string texts[] = {
      "# Study small\nby hand\n",
      absl::StrCat("# Study small\n", kStudyEnd, "\n", kStudyBegin, "\n")};
  for (const std::string& text : texts) {
    folder.Write("small.results/results.md", text);
    const Outcome outcome = Study("run");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("small.results/results.md.before"));
    EXPECT_THAT(Result("results.md"),
                AllOf(HasSubstr("## Again"), Not(HasSubstr("by hand"))));
  }
  EXPECT_EQ(Result("results.md.before"), texts[0]);
  EXPECT_EQ(Result("results.md.before-2"), texts[1]);
  // Only once: the new ones have marks.
  EXPECT_EQ(Study("report").code, 0);
  EXPECT_EQ(Result("results.md.before-3"), "");
  // What would be lost is another matter.
  folder.Write("small.results/results.md", texts[0]);
  fake.Change([this] { fake.jobs.clear(); });
  EXPECT_EQ(Study("report").code, 5);
  EXPECT_EQ(Result("results.md"), texts[0]);
  EXPECT_EQ(Result("results.md.before-3"), "");
}

TEST_F(StudyFolderTest, AFolderThatCannotBeIsToldBeforeAnythingIsSubmitted) {
  const std::string file = folder.Write("notes.txt", "mine");
  for (const std::string& to : {file, file + "/results"}) {
    const Outcome outcome = Study("run", kStudy, {"--to", to});
    EXPECT_NE(outcome.code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("notes.txt"));
  }
  // Where no process makes anything, not even root's.
  const Outcome outcome = Study("run", kStudy, {"--to", "/proc/results"});
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("/proc/results"));
  EXPECT_THAT(Submitted(), IsEmpty());
  EXPECT_EQ(Study("run", kStudy, {"--to", file}).err,
            "error: notes.txt is a file, where a folder of results belongs\n"
            "try: --to FOLDER\n");
}

TEST_F(StudyFolderTest, APlanDoesNotMindWhatLiesThere) {
  folder.Write("small.results/results.md", "mine");
  const Outcome outcome = Study("run", kStudy, {"--dry-run"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(Result("results.md"), "mine");
}

TEST_F(StudyFolderTest, ResultsOfOthersAreNeverWrittenOver) {
  for (const char* name : {"results.md", "results.csv", "results.svg"}) {
    for (const char* content : {"mine", "# Study smaller\n"}) {
      const std::string path =
          folder.Write(absl::StrCat("small.results/", name), content);
      for (const char* verb : {"run", "report"}) {
        const Outcome outcome = Study(verb, kStudy, {"--force"});
        EXPECT_EQ(outcome.code, 5);
        EXPECT_THAT(outcome.err,
                    AllOf(HasSubstr(absl::StrCat("small.results/", name,
                                                 " is not of the study small")),
                          HasSubstr("--to ANOTHER_FOLDER")));
      }
      EXPECT_EQ(Result(name), content);
      std::filesystem::remove(path);
    }
  }
  EXPECT_THAT(Submitted(), IsEmpty());
  // What is called otherwise is nobody's business.
  folder.Write("small.results/notes.txt", "mine");
  EXPECT_EQ(Study("run").code, 0);
  EXPECT_EQ(Result("notes.txt"), "mine");
}

}  // namespace
}  // namespace lory::ctl
