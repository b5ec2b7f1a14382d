#include "tools/model/output_folder.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;
using ::lory::testing::IsOk;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kMarker[] = "config.json";

// An earlier output has the marker file alone, with a digit in it.
OutputOptions Options(bool force) {
  return {.check_earlier =
              [](const std::string& folder) {
                const fs::path marker = fs::path(folder) / kMarker;
                std::string text;
                std::ifstream(marker) >> text;
                if (text.size() == 1) return OnlyFiles(folder, {kMarker});
                return absl::FailedPreconditionError("it has no digit");
              },
          .force = force};
}

std::string Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Writes `text` as the marker file of `target`.
absl::Status Make(const std::string& target, const std::string& text,
                  bool force = false) {
  auto output = OutputFolder::Begin(target, Options(force));
  if (!output.ok()) return output.status();
  std::ofstream((*output)->path() + "/" + kMarker) << text;
  return (*output)->Commit();
}

int64_t EntryCount(const std::string& folder) {
  return std::distance(fs::directory_iterator(folder), {});
}

TEST(OutputFolder, AppearsOnCommitAndLeavesNothingElse) {
  const TemporaryFolder folder;
  ASSERT_OK(Make(folder.At("deep/out"), "1"));
  EXPECT_EQ(Read(folder.At("deep/out/config.json")), "1");
  EXPECT_EQ(EntryCount(folder.At("deep")), 1);
}

TEST(OutputFolder, ATargetWithoutANameIsAMistake) {
  EXPECT_THAT(Make("", "1"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
}

TEST(OutputFolder, WithoutCommitNothingStays) {
  const TemporaryFolder folder;
  ASSERT_OK(OutputFolder::Begin(folder.At("out"), Options(false)));
  EXPECT_EQ(EntryCount(folder.path()), 0);
}

TEST(OutputFolder, AnEmptyFolderMayBecomeTheOutput) {
  const TemporaryFolder folder;
  fs::create_directory(folder.At("out"));
  ASSERT_OK(Make(folder.At("out/"), "1"));
  EXPECT_EQ(Read(folder.At("out/config.json")), "1");
}

TEST(OutputFolder, AnEarlierOutputGivesWayToForceAlone) {
  const TemporaryFolder folder;
  ASSERT_OK(Make(folder.At("out"), "1"));
  EXPECT_THAT(Make(folder.At("out"), "2"),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("--force replaces it")));
  EXPECT_EQ(Read(folder.At("out/config.json")), "1");
  ASSERT_OK(Make(folder.At("out"), "2", /*force=*/true));
  EXPECT_EQ(Read(folder.At("out/config.json")), "2");
  EXPECT_EQ(EntryCount(folder.path()), 1);
}

TEST(OutputFolder, ForceDoesNotReplaceAnybodysFolder) {
  const TemporaryFolder folder;
  folder.Write("out/thesis.txt", "years of work");
  EXPECT_THAT(Make(folder.At("out"), "2", /*force=*/true),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("not even --force")));
  EXPECT_TRUE(fs::exists(folder.At("out/thesis.txt")));
}

TEST(OutputFolder, ForceDoesNotReplaceAnOutputThatSomebodyAddedTo) {
  const TemporaryFolder folder;
  ASSERT_OK(Make(folder.At("out"), "1"));
  folder.Write("out/main.py", "print()");
  EXPECT_THAT(Make(folder.At("out"), "2", /*force=*/true),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("main.py")));
  fs::remove(folder.At("out/main.py"));
  fs::create_directory(folder.At("out/deep"));
  EXPECT_THAT(Make(folder.At("out"), "2", /*force=*/true),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("deep")));
  EXPECT_EQ(Read(folder.At("out/config.json")), "1");
}

TEST(OutputFolder, WhatCameThereMeanwhileIsNotReplaced) {
  for (const bool force : {false, true}) {
    const TemporaryFolder folder;
    LORY_ASSERT_OK_AND_ASSIGN(
        const auto output,
        OutputFolder::Begin(folder.At("out"), Options(force)));
    std::ofstream(output->path() + "/" + kMarker) << "2";
    folder.Write("out/thesis.txt", "years of work");
    EXPECT_THAT(output->Commit(),
                StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("out")));
    EXPECT_TRUE(fs::exists(folder.At("out/thesis.txt")));
    EXPECT_FALSE(fs::exists(folder.At("out/config.json")));
  }
}

// Two runs at once, neither with force: the first to end stays.
TEST(OutputFolder, WithoutForceTheOutputOfAnotherRunIsNotReplaced) {
  const TemporaryFolder folder;
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto output, OutputFolder::Begin(folder.At("out"), Options(false)));
  std::ofstream(output->path() + "/" + kMarker) << "2";
  ASSERT_OK(Make(folder.At("out"), "1"));
  EXPECT_THAT(output->Commit(),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("--force")));
  EXPECT_EQ(Read(folder.At("out/config.json")), "1");
}

// Else the link would be replaced, and what it points to stay behind.
TEST(OutputFolder, ALinkIsNoTarget) {
  const TemporaryFolder folder;
  ASSERT_OK(Make(folder.At("out"), "1"));
  fs::create_directory(folder.At("empty"));
  for (const char* name : {"out", "empty", "nowhere"}) {
    const std::string link = folder.At("link");
    fs::create_symlink(folder.At(name), link);
    for (const bool force : {false, true}) {
      for (const char* slash : {"", "/", "/."}) {
        EXPECT_THAT(
            Make(link + slash, "2", force),
            StatusIs(absl::StatusCode::kAlreadyExists,
                     AllOf(HasSubstr("link"), HasSubstr(folder.At(name)))));
      }
    }
    EXPECT_TRUE(fs::is_symlink(link));
    fs::remove(link);
  }
  EXPECT_EQ(Read(folder.At("out/config.json")), "1");
  EXPECT_TRUE(fs::is_empty(folder.At("empty")));
}

TEST(OutputFolder, WhatIsReadIsNoPlaceToWrite) {
  const TemporaryFolder folder;
  fs::create_directories(folder.At("source/inner"));
  fs::create_symlink(folder.At("source"), folder.At("other"));
  for (const char* to : {"source", "source/", "source/../source", "other",
                         "source/x/y", "other/inner"}) {
    EXPECT_THAT(
        CheckOutsideOf(folder.At("source"), folder.At(to)),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 AllOf(HasSubstr(folder.At(to)), HasSubstr("give another"))))
        << to;
  }
  // Of a relative path no component needs to be there.
  const fs::path before = fs::current_path();
  fs::current_path(folder.At("source"));
  const absl::Status inside = CheckOutsideOf(folder.At("source/"), "new/deep");
  const absl::Status outside = CheckOutsideOf(".", "../new/deep");
  fs::current_path(before);
  EXPECT_THAT(inside, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("new/deep")));
  EXPECT_OK(outside);
  fs::create_symlink("round", folder.At("round"));
  EXPECT_THAT(CheckOutsideOf(folder.At("source"), folder.At("round/x")),
              Not(IsOk()));
  for (const char* to : {"sources", "x", "source-2/source", "source/../x"}) {
    EXPECT_OK(CheckOutsideOf(folder.At("source"), folder.At(to))) << to;
  }
}

}  // namespace
}  // namespace lory::surgery
