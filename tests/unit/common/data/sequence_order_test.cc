#include "common/data/sequence_order.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::data {
namespace {

using ::testing::ElementsAre;

std::vector<int64_t> AllOf(const SequenceOrder& order) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < order.count(); ++i) indices.push_back(order.At(i));
  return indices;
}

TEST(SequenceOrder, IsAPermutationForEveryCount) {
  for (int64_t count = 1; count <= 300; ++count) {
    for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, UINT64_MAX}) {
      std::vector<bool> seen(count);
      for (const int64_t index : AllOf(SequenceOrder(seed, 3, count))) {
        ASSERT_TRUE(index >= 0 && index < count);
        ASSERT_FALSE(seen[index]) << count << " " << seed;
        seen[index] = true;
      }
    }
  }
}

TEST(SequenceOrder, IsAPermutationAroundPowersOfTwo) {
  for (const int64_t count : {65'535, 65'536, 65'537, 100'003}) {
    std::vector<bool> seen(count);
    for (const int64_t index : AllOf(SequenceOrder(7, 0, count))) {
      ASSERT_FALSE(seen[index]);
      seen[index] = true;
    }
  }
}

TEST(SequenceOrder, StaysInRangeForHugeCounts) {
  constexpr int64_t kCount = (int64_t{1} << 62) - 57;
  const SequenceOrder order(9, 1, kCount);
  for (int64_t i = 0; i < 1000; ++i) {
    const int64_t index = order.At(kCount - 1 - i);
    ASSERT_TRUE(index >= 0 && index < kCount);
  }
}

// Trained models depend on these: a change here breaks every dataset and
// every checkpoint there is.
TEST(SequenceOrder, IsTheSameForEver) {
  EXPECT_THAT(AllOf(SequenceOrder(42, 0, 10)),
              ElementsAre(1, 8, 2, 6, 3, 7, 4, 0, 5, 9));
  EXPECT_THAT(AllOf(SequenceOrder(42, 1, 10)),
              ElementsAre(5, 8, 4, 2, 6, 3, 7, 1, 0, 9));
  EXPECT_EQ(SequenceOrder(1, 0, 1'000'000'007).At(123'456), 313'160'794);
}

TEST(SequenceOrder, EpochsAndSeedsDiffer) {
  const auto base = AllOf(SequenceOrder(1, 2, 1000));
  EXPECT_NE(base, AllOf(SequenceOrder(1, 3, 1000)));
  EXPECT_NE(base, AllOf(SequenceOrder(2, 2, 1000)));
  EXPECT_NE(base, AllOf(SequenceOrder(2, 1, 1000)));
}

TEST(SequenceOrder, LooksRandom) {
  // Mean distance of neighbours is a third of the count in a random order.
  constexpr int64_t kCount = 10'000;
  const auto indices = AllOf(SequenceOrder(5, 0, kCount));
  double sum = 0;
  for (int64_t i = 1; i < kCount; ++i) {
    sum += std::abs(static_cast<double>(indices[i] - indices[i - 1]));
  }
  EXPECT_NEAR(sum / kCount, kCount / 3.0, kCount / 50.0);
}

TEST(PositionOf, RunsOnThroughTheEpochs) {
  EXPECT_EQ(PositionOf(0, 10).epoch, 0);
  EXPECT_EQ(PositionOf(9, 10).position, 9);
  EXPECT_EQ(PositionOf(10, 10).epoch, 1);
  EXPECT_EQ(PositionOf(25, 10).epoch, 2);
  EXPECT_EQ(PositionOf(25, 10).position, 5);
}

}  // namespace
}  // namespace lory::data
