#include "tools/corpus/exact_search.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/corpus/one_core.h"
#include "tests/unit/tools/corpus/random_rows.h"
#include "tools/corpus/packed_rows.h"
#include "tools/corpus/row_products.h"

namespace lory::corpus {
namespace {

using ::testing::ElementsAre;

std::vector<float> Numbers(Random& random, int count, double size) {
  std::vector<float> numbers(count);
  for (float& number : numbers) {
    number = static_cast<float>((random.NextDouble() - 0.5) * size);
  }
  return numbers;
}

TEST(SearchAll, EqualsTheNaiveDoubleLoop) {
  Random random(1);
  for (int round = 0; round < 20; ++round) {
    const int dimensions = 1 + static_cast<int>(random.Below(40));
    const int count = 1 + static_cast<int>(random.Below(400));
    const auto rows = Numbers(random, count * dimensions, 2);
    EXPECT_EQ(Nearest(rows, dimensions, 7), AllNeighbors(rows, dimensions, 7))
        << count << " rows of " << dimensions;
  }
}

// Thousands of pairs of each similarity, so that rounding decides nothing.
TEST(SearchAll, EqualsTheNaiveDoubleLoopAmongEquals) {
  Random random(2);
  for (int round = 0; round < 10; ++round) {
    const auto rows = RandomRows(random, 700, 3);
    const auto expected = AllNeighbors(rows, 3, 40);
    for (const int k : {1, 5, 40}) {
      EXPECT_EQ(Nearest(rows, 3, k), FirstOfEach(expected, 40, k)) << k;
    }
  }
  const std::vector<float> zeros(500 * 8);
  EXPECT_EQ(Nearest(zeros, 8, 3), AllNeighbors(zeros, 8, 3));
}

TEST(SearchAll, EqualsTheNaiveDoubleLoopWhateverTheLengthsOfRows) {
  Random random(3);
  std::vector<float> rows;
  for (int i = 0; i < 300; ++i) {
    const double sizes[] = {0, 1e-30, 1e-3, 1, 50};
    const auto row = Numbers(random, 20, sizes[random.Below(5)]);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  EXPECT_EQ(Nearest(rows, 20, 6), AllNeighbors(rows, 20, 6));
}

// Thousands of them are not compared with anyone, and are where they belong.
TEST(SearchAll, EqualsTheNaiveDoubleLoopWithRowsOfZeros) {
  Random random(13);
  for (const int zeros_of_ten : {1, 5, 9}) {
    std::vector<float> rows;
    for (int i = 0; i < 600; ++i) {
      const bool is_zero = static_cast<int>(random.Below(10)) < zeros_of_ten;
      const auto row = Numbers(random, 3, is_zero ? 0 : 2);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    const auto all = AllNeighbors(rows, 3, 300);
    for (const int k : {1, 8, 300}) {
      const auto expected = FirstOfEach(all, 300, k);
      EXPECT_EQ(Nearest(rows, 3, k), expected) << k;
      EXPECT_EQ(Nearest(rows, 3, k, {.packed_bytes = 1}), expected) << k;
    }
  }
}

TEST(SearchAll, DividesByLengthsForTheCosine) {
  Random random(9);
  const auto table = Numbers(random, 300 * 20, 2);
  std::vector<float> scaled = table;
  for (size_t i = 0; i < scaled.size(); ++i) {
    scaled[i] *= static_cast<float>(1 << (i / 20 % 8));
  }
  const SearchLimits cosine = {.metric = Metric::kCosine};
  const auto found = Nearest(scaled, 20, 5, cosine);
  // Powers of two change no digit, neither of a row nor of its length.
  EXPECT_EQ(found, Nearest(table, 20, 5, cosine));
  EXPECT_NE(found, Nearest(table, 20, 5));
  for (int i = 0; i < 300; ++i) {
    const auto row = [&](int j) { return table.data() + j * 20; };
    const auto length = [&](int j) {
      return std::sqrt(Similarity(row(j), row(j), 20));
    };
    std::vector<double> all;
    for (int j = 0; j < 300; ++j) {
      if (j == i) continue;
      all.push_back(Similarity(row(i), row(j), 20) / (length(i) * length(j)));
    }
    std::sort(all.rbegin(), all.rend());
    for (int j = 0; j < 5; ++j) {
      EXPECT_NEAR(found[i * 5 + j].similarity, all[j], 1e-6);
    }
  }
}

TEST(SearchAll, IsTheSameForTheCosineOfUnitVectors) {
  Random random(10);
  const auto rows = RandomRows(random, 500, 16);
  EXPECT_EQ(Nearest(rows, 16, 5, {.metric = Metric::kCosine}),
            Nearest(rows, 16, 5));
}

// Of 256 numbers and more a product is added up in parts.
TEST(SearchAll, EqualsTheNaiveDoubleLoopOnLongRows) {
  Random random(4);
  for (const int dimensions : {511, 513, 1024, 1537}) {
    const auto rows = Numbers(random, 200 * dimensions, 1);
    EXPECT_EQ(Nearest(rows, dimensions, 5), AllNeighbors(rows, dimensions, 5));
  }
}

TEST(SearchAll, IsTheSameInParts) {
  Random random(5);
  const auto rows = RandomRows(random, 2000, 12);
  const auto whole = Nearest(rows, 12, 5);
  EXPECT_EQ(Nearest(rows, 12, 5, {.packed_bytes = 1}), whole);
  EXPECT_EQ(Nearest(rows, 12, 5, {.packed_bytes = 30'000}), whole);
}

TEST(SearchAll, DoesNotDependOnTheNumberOfThreads) {
  Random random(11);
  for (int round = 0; round < 10; ++round) {
    const std::vector<float> rows = RandomRows(random, 1500, 12);
    const auto together = Nearest(rows, 12, 5);
    const OneCore alone;
    EXPECT_EQ(Nearest(rows, 12, 5), together) << round;
  }
}

TEST(SearchAll, FewRowsHaveFewerNeighbours) {
  const std::vector<float> rows = {1, 0, 0, 1};
  EXPECT_THAT(Nearest(rows, 2, 3),
              ElementsAre(Neighbor{1, 0}, Neighbor{}, Neighbor{},
                          Neighbor{0, 0}, Neighbor{}, Neighbor{}));
  EXPECT_THAT(Nearest({1, 0}, 2, 1), ElementsAre(Neighbor{}));
  EXPECT_TRUE(Nearest({}, 2, 1).empty());
}

TEST(SearchAll, TakesRowsByTheirNumbers) {
  const std::vector<float> table = {9, 9, 1, 0, 0.6f, 0.8f, 9, 9, 0, 1};
  const std::vector<int32_t> numbers = {1, 2, 4};
  std::vector<Neighbor> found;
  std::atomic<int64_t> done = 0;
  SearchAll(
      RowSet(table, 2, numbers), 1, {}, [&](int64_t rows) { done += rows; },
      [&](std::span<const Neighbor> lists) {
        found.insert(found.end(), lists.begin(), lists.end());
      });
  EXPECT_THAT(found, ElementsAre(Neighbor{1, 0.6f}, Neighbor{2, 0.8f},
                                 Neighbor{1, 0.8f}));
  EXPECT_EQ(done, 3);
}

TEST(SearchFor, EqualsTheNaiveLoop) {
  Random random(6);
  for (int round = 0; round < 50; ++round) {
    const int many = static_cast<int>(random.Below(300));
    const auto queries = Numbers(random, 30 * 3, 2);
    const auto rows = round % 2 == 0 ? Numbers(random, many * 3, 2)
                                     : RandomRows(random, many, 3);
    std::atomic<int64_t> done = 0;
    const auto found = SearchFor(RowSet(queries, 3), RowSet(rows, 3), 2,
                                 {.packed_bytes = round % 3 == 0 ? 1 : 1 << 20},
                                 [&](int64_t count) { done += count; });
    ASSERT_EQ(found.size(), 60u);
    for (int i = 0; i < 30; ++i) {
      std::vector<Neighbor> all(2);
      all[0].similarity = all[1].similarity = -100;
      for (int j = 0; j < many; ++j) {
        const auto similarity = static_cast<float>(
            Similarity(queries.data() + i * 3, rows.data() + j * 3, 3));
        if (similarity > all[1].similarity) all[1] = {j, similarity};
        if (all[1].similarity > all[0].similarity) std::swap(all[0], all[1]);
      }
      EXPECT_EQ(found[2 * i].document, all[0].document);
      EXPECT_EQ(found[2 * i + 1].document, all[1].document);
    }
    EXPECT_EQ(done, many == 0 ? 0 : 30);
  }
}

TEST(SearchFor, RanksByRoundedRowsForWhomThatIsEnough) {
  Random random(12);
  const auto queries = Numbers(random, 200 * 50, 2);
  const auto rows = Numbers(random, 300 * 50, 2);
  const auto search = [&](bool exact) {
    return SearchFor(RowSet(queries, 50), RowSet(rows, 50), 4,
                     {.exact = exact});
  };
  const auto exact = search(true), rounded = search(false);
  for (size_t i = 0; i < exact.size(); ++i) {
    EXPECT_NEAR(rounded[i].similarity, exact[i].similarity, 0.01);
  }
  const OneCore alone;
  EXPECT_EQ(search(false), rounded);
}

TEST(MeasureRow, KeepsTheTrueLengthOfShortRowsAndTakesNoInfiniteOne) {
  const float tiny[] = {3e-36f, 4e-36f};
  EXPECT_EQ(MeasureRow(tiny, 2).length, 5e-36f);
  EXPECT_GT(MeasureRow(tiny, 2).lost, 5e-36f);
  const float long_row[] = {3e38f, 3e38f};
  EXPECT_EQ(MeasureRow(long_row, 2).length, 0);
  EXPECT_EQ(MeasureRow(long_row, 2).scale, 0);
}

TEST(MeasuredRows, SaysHowFarAScaledProductMayBeOff) {
  Random random(7);
  for (const int dimensions : {1, 3, 64, 301}) {
    const auto table = Numbers(random, 64 * dimensions, 3);
    const MeasuredRows rows(RowSet(table, dimensions), Metric::kInnerProduct);
    std::vector<int32_t> all(64);
    for (int i = 0; i < 64; ++i) all[i] = i;
    const auto errors = rows.ErrorsAgainst(rows, all);
    const PackedRows groups(rows, all, kGroupRows);
    const PackedRows panels(rows, all, kPanelRows);
    std::vector<int32_t> products(64 * kPanelRows);
    for (int panel = 0; panel < 4; ++panel) {
      Products(groups.Stack(0), groups.stacks(), panels.Stack(panel),
               PairsOf(dimensions), products.data());
      for (int i = 0; i < 64 * kPanelRows; ++i) {
        const int a = i / kPanelRows, b = panel * kPanelRows + i % kPanelRows;
        const double exact =
            Similarity(table.data() + a * dimensions,
                       table.data() + b * dimensions, dimensions);
        EXPECT_NEAR(ScaledProduct(products[i], rows[b].scale, rows[a].scale),
                    exact, errors[a]);
        // Little, so that few pairs are looked at again.
        EXPECT_LT(errors[a], 0.002 * dimensions);
      }
    }
  }
}

TEST(FourSimilarities, AreThoseOfOneAtATime) {
  Random random(8);
  const auto rows = Numbers(random, 5 * 333, 1);
  const float* const others[4] = {&rows[333], &rows[666], &rows[999],
                                  &rows[1332]};
  double four[4];
  FourSimilarities(rows.data(), others, 333, four);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(four[i], Similarity(rows.data(), others[i], 333));
  }
}

}  // namespace
}  // namespace lory::corpus
