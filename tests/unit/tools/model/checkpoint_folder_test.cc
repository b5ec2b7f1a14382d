#include "tools/model/checkpoint_folder.h"

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/model/models.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;
using ::lory::model::DenseSpec;
using ::lory::model::LorySpec;
using ::lory::model::MakeModel;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(CheckpointFolder, WhatIsWrittenIsReadBack) {
  const TemporaryFolder folder;
  for (const auto& spec : {DenseSpec(), LorySpec()}) {
    const auto model = MakeModel(spec);
    const std::string path = folder.At(std::to_string(spec.ByteSizeLong()));
    WriteModel(path, spec);
    LORY_ASSERT_OK_AND_ASSIGN(const LoadedCheckpoint loaded,
                              LoadCheckpoint(path));
    EXPECT_TRUE(SameWeights(*loaded.model, *model));
    EXPECT_FALSE(loaded.model->is_dense_phase());
    EXPECT_EQ(loaded.manifest.job, "jobs/test");
    EXPECT_EQ(loaded.manifest.checkpoint.step(), 0);
    EXPECT_EQ(loaded.manifest.spec.labels().at("origin"), "test");
  }
}

TEST(CheckpointFolder, WhatIsNoCheckpointIsCalledByItsName) {
  const TemporaryFolder folder;
  EXPECT_THAT(LoadCheckpoint(folder.At("none")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(
      LoadCheckpoint(folder.Write("file", "")),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a file")));
  folder.Write("hf/config.json", "{}");
  EXPECT_THAT(LoadCheckpoint(folder.At("hf")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("lory-model import")));
  fs::create_directories(folder.At("job/checkpoints"));
  EXPECT_THAT(LoadCheckpoint(folder.At("job")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("a job's folder")));
  fs::create_directory(folder.At("empty"));
  EXPECT_THAT(LoadCheckpoint(folder.At("empty")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("has no manifest.json")));
}

TEST(CheckpointFolder, AnAlteredPartIsNamed) {
  const TemporaryFolder folder;
  const std::string path = WriteModel(folder.At("a"), DenseSpec());
  const std::string part = path + "/part-0-of-1.safetensors";
  std::fstream file(part, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-3, std::ios::end);
  file.put('x');
  file.close();
  EXPECT_THAT(LoadCheckpoint(path),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr(part), HasSubstr("SHA-256"),
                             HasSubstr("copy the folder again"))));
  fs::remove(part);
  EXPECT_THAT(
      LoadCheckpoint(path),
      StatusIs(absl::StatusCode::kNotFound,
               AllOf(HasSubstr(part), HasSubstr("loryctl checkpoint list"))));
}

TEST(CheckpointFolder, ABrokenManifestIsNamed) {
  const TemporaryFolder folder;
  folder.Write("a/manifest.json", "{\"version\": 1}");
  EXPECT_THAT(
      LoadCheckpoint(folder.At("a")),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("manifest.json")));
}

TEST(CheckpointFolder, ADensePhaseIsWrittenAsTheDenseModelItIs) {
  const TemporaryFolder folder;
  auto made = lory::model::Transformer::Create(LorySpec(),
                                               /*dense_phase=*/true, 1);
  ASSERT_OK(made);
  ASSERT_OK(WriteCheckpoint(**made, {.job = "jobs/test"}, folder.At("a"),
                            /*force=*/false));
  LORY_ASSERT_OK_AND_ASSIGN(const LoadedCheckpoint loaded,
                            LoadCheckpoint(folder.At("a")));
  EXPECT_TRUE(loaded.manifest.spec.model().feed_forward().has_dense());
  EXPECT_TRUE(SameWeights(*loaded.model, **made));
}

}  // namespace
}  // namespace lory::surgery
