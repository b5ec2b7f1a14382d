#include "tools/corpus/equal_rows.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/corpus/random_rows.h"
#include "tools/corpus/list_search.h"

namespace lory::corpus {
namespace {

using ::testing::ElementsAre;

constexpr int kWidth = 6;

// Rows of which most have copies, some of zeros, in any order.
std::vector<float> RowsWithCopies(Random& random, int count, int distinct) {
  std::vector<float> originals = RandomRows(random, distinct, kWidth);
  // Of other lengths, too, and of none.
  for (int j = 0; j < kWidth; ++j) {
    originals[j] *= 3;
    originals[kWidth + j] = 0;
  }
  std::vector<float> rows;
  for (int i = 0; i < count; ++i) {
    const auto from = static_cast<int64_t>(random.Below(distinct)) * kWidth;
    rows.insert(rows.end(), originals.begin() + from,
                originals.begin() + from + kWidth);
  }
  return rows;
}

TEST(EqualRows, AreGroupedInTheOrderOfTheirFirst) {
  const std::vector<float> rows = {1, 2, 3, 4, 1, 2, 5, 6, 3, 4, 1, 2};
  const EqualRows equal(RowSet(rows, 2));
  ASSERT_TRUE(equal.any());
  EXPECT_EQ(equal.group_count(), 3);
  EXPECT_THAT(equal.RowsOf(0), ElementsAre(0, 2, 5));
  EXPECT_THAT(equal.RowsOf(1), ElementsAre(1, 4));
  EXPECT_THAT(equal.RowsOf(2), ElementsAre(3));
  EXPECT_EQ(equal.Distinct().Row(2)[1], 6);
  EXPECT_FALSE(EqualRows(RowSet(rows, 4)).any());
}

TEST(EqualRows, OfSomeOfATableAreFoundByTheirPlaces) {
  const std::vector<float> rows = {9, 9, 1, 2, 3, 4, 1, 2};
  const std::vector<int32_t> numbers = {3, 2, 1};
  const EqualRows equal(RowSet(rows, 2, numbers));
  ASSERT_TRUE(equal.any());
  EXPECT_THAT(equal.RowsOf(0), ElementsAre(0, 2));
  EXPECT_EQ(equal.Distinct().Row(0)[0], 1);
  EXPECT_EQ(equal.Distinct().Row(1)[0], 3);
}

// SearchAll weighs all copies one by one, and has a naive loop to compare with.
TEST(SearchNeighbors, OfCopiesIsThatOfASearchThatWeighsEachOfThem) {
  Random random(13);
  for (int round = 0; round < 120; ++round) {
    const int count = 2 + static_cast<int>(random.Below(300));
    const int distinct = 2 + static_cast<int>(random.Below(40));
    const std::vector<float> rows = RowsWithCopies(random, count, distinct);
    for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct}) {
      for (const SearchMethod method :
           {SearchMethod::kExact, SearchMethod::kLists}) {
        // Enough probes to look through all lists.
        const NeighborOptions options = {
            .k = 1 + static_cast<int32_t>(random.Below(12)),
            .method = method,
            .metric = metric,
            .lists = 3,
            .probes = 3};
        std::vector<Neighbor> found;
        std::atomic<int64_t> done = 0;
        SearchNeighbors(
            RowSet(rows, kWidth), options, [&](int64_t n) { done += n; },
            [&](std::span<const Neighbor> lists) {
              found.insert(found.end(), lists.begin(), lists.end());
            });
        EXPECT_EQ(done, count);
        ASSERT_EQ(found, Nearest(rows, kWidth, options.k, {.metric = metric}))
            << count << " rows of " << distinct << ", k = " << options.k;
      }
    }
  }
}

// More than are handed over at a time, with copies far apart.
TEST(SearchNeighbors, OfCopiesInManyPartsIsTheSame) {
  Random random(14);
  const std::vector<float> rows = RowsWithCopies(random, 20'000, 12'000);
  std::vector<Neighbor> found;
  SearchNeighbors(
      RowSet(rows, kWidth), {.k = 3, .method = SearchMethod::kExact},
      [](int64_t) {},
      [&](std::span<const Neighbor> lists) {
        found.insert(found.end(), lists.begin(), lists.end());
      });
  EXPECT_EQ(found, Nearest(rows, kWidth, 3, {.metric = Metric::kCosine}));
}

}  // namespace
}  // namespace lory::corpus
