#include "tools/corpus/stage.h"

#include <unistd.h>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status_macros.h"
#include "common/io/errno_status.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tools/corpus/build_lock.h"

namespace lory::corpus {
namespace {

using ::lory::testing::CapturedProgress;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct StageTest : ::testing::Test {
  // A stage that writes `content` and counts its runs.
  Stage Writing(const std::string& content, int option = 1,
                const std::string& input = "i") {
    Stage stage{.name = "copy"};
    stage.options["option"] = option;
    stage.inputs = {{"input", input}};
    stage.run =
        [this, content](const std::string& at) -> absl::StatusOr<StageResult> {
      ++runs;
      LORY_RETURN_IF_ERROR(io::LocalStorage().Write(at + "/out", content));
      return StageResult{{"out"}, {{"bytes", content.size()}}, "done"};
    };
    return stage;
  }
  StageRecord Run(const Stage& stage, const std::string& redo = "") {
    StageRunner runner(folder.At("stages"), redo, captured.progress());
    auto record = runner.Run(stage);
    EXPECT_OK(record);
    return *record;
  }

  TemporaryFolder folder;
  CapturedProgress captured;
  int runs = 0;
};

// A chain that begins again asks, so that hours of work are not done twice.
TEST_F(StageTest, SaysWhetherTheStageToRedoHasRun) {
  Run(Writing("x"));
  StageRunner runner(folder.At("stages"), "copy", captured.progress());
  EXPECT_FALSE(runner.redone());
  EXPECT_OK(runner.Run(Writing("x")));
  EXPECT_TRUE(runner.redone());
  EXPECT_EQ(runs, 2);
  StageRunner none(folder.At("stages"), "", captured.progress());
  EXPECT_OK(none.Run(Writing("x")));
  EXPECT_FALSE(none.redone());
}

TEST_F(StageTest, AnUnchangedStageIsUpToDate) {
  const StageRecord first = Run(Writing("x"));
  EXPECT_THAT(captured.Take(), HasSubstr("copy       done (0.0 s)"));
  const StageRecord second = Run(Writing("x"));
  EXPECT_EQ(runs, 1);
  EXPECT_THAT(captured.Take(), HasSubstr("copy       up to date"));
  EXPECT_EQ(second.OutputHash(), first.OutputHash());
  EXPECT_EQ(second.Count("bytes"), 1);
}

TEST_F(StageTest, ChangedOptionsInputsAndVersionsRunItAgain) {
  Run(Writing("x"));
  Run(Writing("x", 2));
  EXPECT_EQ(runs, 2);
  Run(Writing("x", 2, "j"));
  EXPECT_EQ(runs, 3);
  Stage newer = Writing("x", 2, "j");
  newer.version = 2;
  Run(newer);
  EXPECT_EQ(runs, 4);
  Run(newer);
  EXPECT_EQ(runs, 4);
}

TEST_F(StageTest, EqualOutputsOfChangedOptionsHaveOneHash) {
  EXPECT_EQ(Run(Writing("x", 1)).OutputHash(),
            Run(Writing("x", 2)).OutputHash());
  EXPECT_NE(Run(Writing("x", 3)).OutputHash(),
            Run(Writing("y", 4)).OutputHash());
}

TEST_F(StageTest, AMissingOrShortenedOutputRunsItAgain) {
  Run(Writing("xyz"));
  ASSERT_OK(io::LocalStorage().Remove(folder.At("stages/copy/out")));
  Run(Writing("xyz"));
  EXPECT_EQ(runs, 2);
  folder.Write("stages/copy/out", "x");
  Run(Writing("xyz"));
  EXPECT_EQ(runs, 3);
}

TEST_F(StageTest, ADamagedRecordRunsItAgain) {
  Run(Writing("x"));
  // Written again for its hash, with each line indented by its depth, this one
  // would have 500 GB.
  const std::string deep = "{\"fingerprint\":\"\",\"figures\":{},\"outputs\":" +
                           std::string(500'000, '[') +
                           std::string(500'000, ']') + "}";
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("{}"),
        std::string("{\"fingerprint\":1}"), deep}) {
    const int before = runs;
    folder.Write("stages/copy/stage.json", text);
    Run(Writing("x"));
    EXPECT_EQ(runs, before + 1) << text.substr(0, 40);
  }
}

TEST_F(StageTest, AnAlteredRecordRunsItAgain) {
  Run(Writing("x"));
  const std::string path = folder.At("stages/copy/stage.json");
  const std::string record = io::LocalStorage().Read(path).value();
  const std::string altered =
      absl::StrReplaceAll(record, {{"\"figures\"", "\"numbers\""}});
  ASSERT_NE(altered, record);
  folder.Write("stages/copy/stage.json", altered);
  Run(Writing("x"));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(io::LocalStorage().Read(path).value(), record);
}

TEST_F(StageTest, AlteredFilesAreFoundBeforeAStageReadsThem) {
  Stage reader = Writing("y", 1, Run(Writing("x")).OutputHash());
  reader.name = "reader";
  reader.inputs[0].first = "copy";
  const auto both = [&](int option) {
    reader.options["option"] = option;
    StageRunner runner(folder.At("stages"), "", captured.progress());
    EXPECT_OK(runner.Run(Writing("x")));
    return runner.Run(reader).status();
  };
  ASSERT_OK(both(1));
  EXPECT_EQ(runs, 2);
  folder.Write("stages/copy/out", "?");  // as long as before
  // As long as nobody reads it nobody looks.
  ASSERT_OK(both(1));
  EXPECT_THAT(both(2), StatusIs(absl::StatusCode::kAborted,
                                HasSubstr("stages/copy/out is not what copy")));
  EXPECT_EQ(runs, 2);
  ASSERT_OK(both(2));
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(*io::LocalStorage().Read(folder.At("stages/copy/out")), "x");
}

TEST_F(StageTest, RedoRunsItInAnyCase) {
  Run(Writing("x"));
  Run(Writing("x"), "copy");
  Run(Writing("x"), "other");
  EXPECT_EQ(runs, 2);
}

TEST_F(StageTest, AFailedStageNamesItselfAndIsNotTakenForDone) {
  Run(Writing("x"));
  Stage failing = Writing("x", 2);
  failing.run = [](const std::string&) -> absl::StatusOr<StageResult> {
    return absl::ResourceExhaustedError("disk full");
  };
  StageRunner runner(folder.At("stages"), "", captured.progress());
  EXPECT_THAT(runner.Run(failing),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("copy: disk full: "),
                             HasSubstr(" MB were free when the stage began; "),
                             HasSubstr("it goes on with this stage"))));
  Run(Writing("x", 2));
  EXPECT_EQ(runs, 2);
}

TEST_F(StageTest, ALimitIsNotToldLikeAFullDisk) {
  const auto failed = [this](int error) {
    Stage failing = Writing("x");
    failing.run = [error](const std::string&) -> absl::StatusOr<StageResult> {
      return io::ErrnoStatus(error, "writing out");
    };
    StageRunner runner(folder.At("stages"), "", captured.progress());
    return std::string(runner.Run(failing).status().message());
  };
  EXPECT_THAT(failed(EFBIG), AllOf(HasSubstr("ulimit -f"),
                                   HasSubstr("it goes on with this stage"),
                                   Not(HasSubstr("were free"))));
  EXPECT_THAT(failed(EDQUOT), AllOf(HasSubstr("the quota is used up"),
                                    HasSubstr("it goes on with this stage"),
                                    Not(HasSubstr("were free"))));
  EXPECT_THAT(failed(ENOSPC), HasSubstr("MB were free"));
}

TEST(BuildLock, ASecondBuildIsRefusedUntilTheFirstEnds) {
  TemporaryFolder folder;
  {
    LORY_ASSERT_OK_AND_ASSIGN(const auto lock,
                              BuildLock::Take(folder.At("new/folder")));
    EXPECT_THAT(BuildLock::Take(folder.At("new/folder")),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr(absl::StrCat("(process ", ::getpid()))));
  }
  EXPECT_OK(BuildLock::Take(folder.At("new/folder")));
}

TEST_F(StageTest, AMutatedRecordIsTheSameOrDamaged) {
  const StageRecord record = {.folder = "f",
                              .fingerprint = std::string(64, 'a'),
                              .outputs = {{"out", 7, std::string(64, 'b')}},
                              .figures = {{"bytes", 7}}};
  const std::string good = SerializeStageRecord(Writing("x"), record);
  testing::Mutations mutations(20261201);
  int refused = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto read = ParseStageRecord(mutations.Of(good), "f");
    refused += !read.ok();
    if (read.ok()) {
      EXPECT_EQ(SerializeStageRecord(Writing("x"), *read), good);
    } else {
      EXPECT_TRUE(absl::IsDataLoss(read.status())) << read.status();
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 4990);
}

}  // namespace
}  // namespace lory::corpus
