#include "worker/data/dataset_check.h"

#include <filesystem>

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

TEST_F(DatasetCheckTest, EndsBeforeTheFilesDo) {
  // Destroyed at once: it must not wait for the rest.
  const DatasetCheck check(manifest, {.folder = folder.path()});
}

}  // namespace
}  // namespace lory::data
