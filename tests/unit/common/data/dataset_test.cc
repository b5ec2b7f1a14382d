#include "common/data/dataset.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/hash.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::data {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct DatasetTest : ::testing::Test {
  // Three shards of 2, 1 and 3 sequences of 4 tokens, numbered through, and
  // one held-out domain.
  DatasetTest() {
    manifest.name = "test";
    manifest.order = "random";
    manifest.sequence_length = 3;
    manifest.vocabulary_size = 100;
    manifest.tokenizer_file = "tokenizer.json";
    manifest.tokenizer_sha256 = Sha256Hex("tokens");
    folder.Write("tokenizer.json", "tokens");
    int32_t next = 0;
    for (const int count : {2, 1, 3}) {
      manifest.shards.push_back(WriteShard(
          absl::StrCat("train-", manifest.shards.size()), count, &next));
    }
    manifest.held_out.push_back({"news", WriteShard("held-out", 1, &next)});
    WriteManifest();
  }
  ShardEntry WriteShard(const std::string& name, int count, int32_t* next) {
    auto writer = ShardWriter::Create(folder.At(name), 4, 100);
    for (int i = 0; i < count; ++i, ++*next) {
      EXPECT_OK((*writer)->Append({{*next, 1, 2, 3}}));
    }
    return *(*writer)->Finish();
  }
  void WriteManifest() {
    folder.Write("manifest.json", SerializeDatasetManifest(manifest));
  }
  absl::StatusOr<std::unique_ptr<Dataset>> Open(bool verify_hashes = true) {
    return Dataset::Open(folder.At("manifest.json"), verify_hashes);
  }

  TemporaryFolder folder;
  DatasetManifest manifest;
};

TEST_F(DatasetTest, SequencesAreNumberedThroughTheShards) {
  LORY_ASSERT_OK_AND_ASSIGN(const auto dataset, Open());
  ASSERT_EQ(dataset->sequence_count(), 6);
  for (int64_t i = 0; i < 6; ++i) {
    std::vector<int64_t> tokens(4);
    ASSERT_OK(dataset->Read(i, tokens));
    EXPECT_THAT(tokens, ElementsAre(i, 1, 2, 3));
  }
  std::vector<int64_t> tokens(4);
  ASSERT_OK(dataset->ReadHeldOut(0, 0, tokens));
  EXPECT_EQ(tokens[0], 6);
}

TEST_F(DatasetTest, ATokenBeyondTheVocabularyNamesFileTokenAndField) {
  manifest.vocabulary_size = 5;
  WriteManifest();
  LORY_ASSERT_OK_AND_ASSIGN(const auto dataset, Open());
  std::vector<int64_t> tokens(4);
  EXPECT_OK(dataset->Read(4, tokens));
  const absl::Status status = dataset->Read(5, tokens);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss,
                               HasSubstr("train-2.bin: sequence 2 has token 5, "
                                         "but vocabulary_size in the manifest "
                                         "is 5")));
  EXPECT_EQ(ReasonOf(status), "TOKEN_OUT_OF_RANGE");
  EXPECT_THAT(dataset->ReadHeldOut(0, 0, tokens),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("held-out.bin: sequence 0 has token 6")));
}

TEST_F(DatasetTest, AMissingShardAsksWhetherTheDatasetMoved) {
  ASSERT_OK(io::LocalStorage().Remove(folder.At("train-1.bin")));
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kNotFound,
                               ::testing::AllOf(HasSubstr("dataset moved?"),
                                                HasSubstr("train-1.bin"))));
}

TEST_F(DatasetTest, AnAlteredByteIsFoundByItsHashOnly) {
  std::string bytes = *io::LocalStorage().Read(folder.At("train-2.bin"));
  bytes[5] ^= 1;
  folder.Write("train-2.bin", bytes);
  EXPECT_OK(Open(/*verify_hashes=*/false));
  EXPECT_THAT(Open(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("train-2.bin")));
}

TEST_F(DatasetTest, AnAlteredTokenizerIsFound) {
  folder.Write("tokenizer.json", "others");
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss,
                               HasSubstr("tokenizer.json")));
}

TEST_F(DatasetTest, AShardThatDoesNotFitTheManifestIsFound) {
  manifest.shards[0].sequence_count = 7;
  WriteManifest();
  EXPECT_THAT(Open(false),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("train-0")));
}

TEST_F(DatasetTest, AnotherSequenceLengthIsFound) {
  manifest.sequence_length = 4;
  WriteManifest();
  EXPECT_TRUE(absl::IsDataLoss(Open(false).status()));
}

TEST_F(DatasetTest, ATruncatedShardIsFound) {
  const std::string bytes = *io::LocalStorage().Read(folder.At("train-0.bin"));
  folder.Write("train-0.bin", bytes.substr(1));
  EXPECT_THAT(Open(false),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("train-0.bin")));
}

}  // namespace
}  // namespace lory::data
