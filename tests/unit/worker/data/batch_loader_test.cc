#include "worker/data/batch_loader.h"

#include "common/data/sample_digest.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_dataset.h"

namespace lory::data {
namespace {

struct BatchLoaderTest : ::testing::Test {
  BatchLoaderTest() {
    auto opened = Dataset::Open(
        lory::testing::WriteTinyDataset(
            folder.path(), {.sequence_count = 10, .sequence_length = 16}),
        true);
    EXPECT_OK(opened);
    dataset = *std::move(opened);
  }

  const lory::testing::TemporaryFolder folder;
  const BatchGrid grid{
      .seed = 3, .micro_batch_count = 3, .micro_batch_sequences = 2};
  std::unique_ptr<Dataset> dataset;
};

TEST_F(BatchLoaderTest, RanksTogetherReadExactlyTheStep) {
  // 6 sequences a step of 10: steps 1 and 3 cross the end of an epoch.
  for (int64_t step = 0; step < 5; ++step) {
    uint64_t sum = 0;
    for (int64_t m = 0; m < grid.micro_batch_count; ++m) {
      sum += ReadMicroBatch(*dataset, grid, step, m)->fingerprint_sum;
    }
    EXPECT_EQ(sum, ExpectedFingerprintSum(grid.seed, 10, step, 6)) << step;
  }
}

TEST_F(BatchLoaderTest, TargetsAreTheTokensOneLater) {
  LORY_ASSERT_OK_AND_ASSIGN(const MicroBatch batch,
                            ReadMicroBatch(*dataset, grid, 0, 1));
  ASSERT_EQ(batch.tokens.size(), 32u);
  const SequenceOrder order(grid.seed, 0, 10);
  std::vector<int64_t> sequence(17);
  ASSERT_OK(
      dataset->Read(order.At(3), sequence));  // second row of micro-batch 1
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(batch.tokens[16 + i], sequence[i]);
    EXPECT_EQ(batch.targets[16 + i], sequence[i + 1]);
  }
}

TEST_F(BatchLoaderTest, ReadsAheadWhatARankTakesInOrder) {
  BatchLoader loader(*dataset, grid, 2);
  loader.Start({.first_step = 4, .end_step = 6, .first = 1, .count = 2});
  for (int64_t step = 4; step < 6; ++step) {
    for (int64_t m = 1; m < 3; ++m) {
      LORY_ASSERT_OK_AND_ASSIGN(const auto batch, loader.Next());
      ASSERT_TRUE(batch.has_value());
      EXPECT_EQ(batch->step, step);
      EXPECT_EQ(batch->index, m);
      EXPECT_EQ(batch->tokens, ReadMicroBatch(*dataset, grid, step, m)->tokens);
      EXPECT_LE(loader.held_count(), 2);
    }
  }
  EXPECT_FALSE(loader.Next()->has_value());
}

TEST_F(BatchLoaderTest, ANewRangeForgetsTheOldOne) {
  BatchLoader loader(*dataset, grid, 2);
  for (int64_t step = 0; step < 50; ++step) {
    loader.Start({.first_step = step, .end_step = 100, .first = 0, .count = 3});
    LORY_ASSERT_OK_AND_ASSIGN(const auto batch, loader.Next());
    ASSERT_TRUE(batch.has_value());
    EXPECT_EQ(batch->step, step);
    EXPECT_EQ(batch->index, 0);
  }
}

TEST_F(BatchLoaderTest, ATokenBeyondTheVocabularyIsAnError) {
  DatasetManifest manifest = dataset->manifest();
  manifest.vocabulary_size = 20;  // of 64
  folder.Write("manifest.json", SerializeDatasetManifest(manifest));
  LORY_ASSERT_OK_AND_ASSIGN(const auto small,
                            Dataset::Open(folder.At("manifest.json"), false));
  BatchLoader loader(*small, grid, 2);
  loader.Start({.first_step = 0, .end_step = 1, .first = 0, .count = 3});
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(loader.Next().status(),
                lory::testing::StatusIs(absl::StatusCode::kDataLoss,
                                        ::testing::HasSubstr("train-0.bin")));
  }
  EXPECT_FALSE(loader.Next()->has_value());
}

TEST_F(BatchLoaderTest, WithoutARangeThereIsNothing) {
  BatchLoader loader(*dataset, grid, 2);
  EXPECT_FALSE(loader.Next()->has_value());
  loader.Start({.first_step = 5, .end_step = 5, .first = 0, .count = 3});
  EXPECT_FALSE(loader.Next()->has_value());
}

}  // namespace
}  // namespace lory::data
