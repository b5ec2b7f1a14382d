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
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::HasSubstr;

constexpr char kMarker[] = "config.json";

std::string Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Writes `text` as the marker file of `target`.
absl::Status Make(const std::string& target, const std::string& text,
                  bool force = false) {
  auto output =
      OutputFolder::Begin(target, {.marker = kMarker, .force = force});
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

TEST(OutputFolder, WithoutCommitNothingStays) {
  const TemporaryFolder folder;
  ASSERT_OK(OutputFolder::Begin(folder.At("out"), {.marker = kMarker}));
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

}  // namespace
}  // namespace lory::surgery
