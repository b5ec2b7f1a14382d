#include "worker/data/dataset_check.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_dataset.h"

namespace lory::data {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct DatasetCheckTest : ::testing::Test {
  DatasetCheckTest() {
    auto read =
        ReadDatasetManifest(lory::testing::WriteTinyDataset(folder.path(), {}));
    EXPECT_OK(read);
    manifest = *std::move(read);
  }

  // Checks to the end; `told` is then what the check said is sound.
  absl::Status Check(const std::set<std::string>& known = {}) {
    told.clear();
    DatasetCheck check(manifest, {.folder = folder.path(),
                                  .known = known,
                                  .on_sound = [this](const std::string& line) {
                                    told.insert(line);
                                  }});
    while (!check.WaitUntilDone(absl::Seconds(1))) {
    }
    return check.status();
  }

  const lory::testing::TemporaryFolder folder;
  DatasetManifest manifest;
  std::set<std::string> told;
};

TEST_F(DatasetCheckTest, NamesEverySoundFile) {
  EXPECT_OK(Check());
  EXPECT_THAT(told, SizeIs(4));  // .bin and .idx, trained and held out
  EXPECT_EQ(CheckedBytes(manifest), manifest.shards[0].bin_bytes +
                                        manifest.held_out[0].shard.bin_bytes);
}

TEST_F(DatasetCheckTest, IsSeenToGetOn) {
  DatasetCheck check(manifest, {.folder = folder.path()});
  while (!check.WaitUntilDone(absl::Seconds(1))) {
  }
  EXPECT_GE(check.pieces_read(), 4);  // one a file at least
}

TEST_F(DatasetCheckTest, AFileThatIsKnownAndUnchangedIsNotReadAgain) {
  ASSERT_OK(Check());
  const std::set<std::string> known = told;
  EXPECT_OK(Check(known));
  EXPECT_THAT(told, IsEmpty());
  // Another file of the same content and name is another file.
  const std::string path = folder.At(manifest.shards[0].file + ".bin");
  std::filesystem::copy_file(path, folder.At("copy"));
  std::filesystem::rename(folder.At("copy"), path);
  EXPECT_OK(Check(known));
  EXPECT_THAT(told, SizeIs(1));
}

TEST_F(DatasetCheckTest, AnAlteredFileIsNamedAndNotRemembered) {
  manifest.held_out[0].shard.bin_sha256 = std::string(64, 'a');
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kDataLoss,
                                HasSubstr(manifest.held_out[0].shard.file)));
  EXPECT_THAT(told, SizeIs(3));
}

TEST_F(DatasetCheckTest, AMissingFileIsNamed) {
  const std::string name = manifest.shards[0].file + ".bin";
  std::filesystem::remove(folder.At(name));
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kNotFound, HasSubstr(name)));
}

TEST_F(DatasetCheckTest, WhatIsWrittenToLaterIsReadAgain) {
  std::vector<std::string> lines;
  DatasetCheck check(manifest, {.folder = folder.path(),
                                .on_sound = [&](const std::string& line) {
                                  lines.push_back(line);
                                }});
  const auto look = [&] {
    check.LookAgain();
    while (!check.WaitUntilDone(absl::Seconds(1))) {
    }
    return check.status();
  };
  EXPECT_OK(look());
  EXPECT_EQ(lines.size(), 4);
  // Touched: the same bytes, found sound once more, and only once.
  const std::string path = folder.At(manifest.shards[0].file + ".bin");
  const auto touch = [&] {
    std::filesystem::last_write_time(
        path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  };
  touch();
  EXPECT_OK(look());
  EXPECT_OK(look());
  EXPECT_EQ(lines.size(), 5);
  // Moved away and back: what is mapped is as it was.
  std::filesystem::rename(path, folder.At("away"));
  EXPECT_OK(look());
  std::filesystem::rename(folder.At("away"), path);
  EXPECT_OK(look());
  EXPECT_EQ(lines.size(), 5);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const int first = file.get();
    file.seekp(0);
    file.put(static_cast<char>(first ^ 1));
  }
  touch();  // clocks of file systems are coarse
  EXPECT_THAT(look(), StatusIs(absl::StatusCode::kDataLoss,
                               HasSubstr("altered since it was built")));
}

TEST_F(DatasetCheckTest, EndsBeforeTheFilesDo) {
  // Destroyed at once: it must not wait for the rest.
  const DatasetCheck check(manifest, {.folder = folder.path()});
}

}  // namespace
}  // namespace lory::data
