#include "tools/corpus/list_search.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/corpus/one_core.h"
#include "tests/unit/tools/corpus/random_rows.h"
#include "tools/corpus/clusters.h"

namespace lory::corpus {
namespace {

constexpr int kWidth = 24;

// Rows around a few dozen middles.
std::vector<float> GroupedRows(Random& random, int count) {
  const auto number = [&] {
    return static_cast<float>(random.NextDouble() - 0.5);
  };
  std::vector<float> middles(40 * kWidth);
  for (float& value : middles) value = number();
  std::vector<float> rows;
  for (int i = 0; i < count; ++i) {
    const float* middle = middles.data() + random.Below(40) * kWidth;
    for (int j = 0; j < kWidth; ++j) rows.push_back(middle[j] + number());
  }
  return rows;
}

struct Outcome {
  std::vector<Neighbor> lists;
  SearchReport report;
};

Outcome SearchGroups(const std::vector<float>& rows,
                     const NeighborOptions& options) {
  Outcome found;
  std::atomic<int64_t> done = 0;
  const RowSet set(rows, kWidth);
  found.report = SearchNeighbors(
      set, options, [&](int64_t count) { done += count; },
      [&](std::span<const Neighbor> lists) {
        found.lists.insert(found.lists.end(), lists.begin(), lists.end());
      });
  EXPECT_EQ(done, set.count());
  return found;
}

double Recall(const std::vector<Neighbor>& found,
              const std::vector<Neighbor>& wanted, int k) {
  int64_t hits = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto row = found.begin() + static_cast<int64_t>(i) / k * k;
    hits += std::count(row, row + k, wanted[i]);
  }
  return static_cast<double>(hits) / static_cast<double>(wanted.size());
}

TEST(SearchNeighbors, IsExactWhenAllListsAreLookedThrough) {
  Random random(1);
  const auto rows = GroupedRows(random, 900);
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct}) {
    const NeighborOptions options = {.k = 6,
                                     .method = SearchMethod::kLists,
                                     .metric = metric,
                                     .lists = 17,
                                     .probes = 17};
    const Outcome found = SearchGroups(rows, options);
    EXPECT_EQ(found.lists, Nearest(rows, kWidth, 6, {.metric = metric}));
    EXPECT_EQ(found.report.recall, 1);
    EXPECT_EQ(found.report.probes, 17);
  }
}

TEST(SearchNeighbors, PutsRowsOfZerosInNoList) {
  Random random(9);
  auto rows = GroupedRows(random, 900);
  for (int i = 0; i < 900; i += 2) {
    std::fill_n(rows.begin() + i * kWidth, kWidth, 0.0f);
  }
  NeighborOptions options = {.k = 6,
                             .method = SearchMethod::kLists,
                             .metric = Metric::kInnerProduct,
                             .lists = 17,
                             .probes = 17};
  const auto exact = Nearest(rows, kWidth, 6);
  EXPECT_EQ(SearchGroups(rows, options).lists, exact);
  // As exact with one list looked through, and no reason to look through more.
  options.probes = 1;
  const Outcome found = SearchGroups(rows, options);
  for (int i = 0; i < 900 * 6; i += 2 * 6) {
    EXPECT_TRUE(std::equal(exact.begin() + i, exact.begin() + i + 6,
                           found.lists.begin() + i));
  }
  options.probes = 0;
  options.recall = 0.5;
  EXPECT_EQ(SearchGroups(rows, options).report.probes, 1);
}

TEST(SearchNeighbors, TakesALongListInParts) {
  Random random(8);
  const auto rows = GroupedRows(random, 5000);
  const Outcome found = SearchGroups(rows, {.k = 3,
                                            .method = SearchMethod::kLists,
                                            .metric = Metric::kInnerProduct,
                                            .lists = 1});
  EXPECT_EQ(found.lists, Nearest(rows, kWidth, 3));
}

TEST(SearchNeighbors, LooksThroughListsUntilEnoughIsFound) {
  Random random(2);
  constexpr int kRows = 1500;
  const auto rows = GroupedRows(random, kRows);
  const auto exact = Nearest(rows, kWidth, 10);
  NeighborOptions options = {.method = SearchMethod::kLists,
                             .metric = Metric::kInnerProduct,
                             .recall_sample = kRows};
  int64_t probes = 0;
  for (const double recall : {0.5, 0.8, 0.95, 0.999}) {
    options.recall = recall;
    options.probes = 0;
    const Outcome found = SearchGroups(rows, options);
    EXPECT_GE(found.report.recall, recall);
    EXPECT_NEAR(found.report.recall, Recall(found.lists, exact, 10), 1e-12);
    EXPECT_EQ(found.report.lists, ListsFor(kRows));
    EXPECT_GE(found.report.probes, probes);
    probes = found.report.probes;
    if (probes < 2) continue;
    options.probes = probes / 2;  // would not have been enough
    EXPECT_LT(SearchGroups(rows, options).report.recall, recall);
  }
  EXPECT_GT(probes, 2);
}

TEST(SearchNeighbors, TellsRecallOfASampleOfDocuments) {
  Random random(3);
  const auto rows = GroupedRows(random, 3000);
  const auto exact = Nearest(rows, kWidth, 10);
  const Outcome found = SearchGroups(rows, {.method = SearchMethod::kLists,
                                            .metric = Metric::kInnerProduct,
                                            .lists = 200,
                                            .probes = 3,
                                            .recall_sample = 300});
  EXPECT_NEAR(found.report.recall, Recall(found.lists, exact, 10), 0.05);
  EXPECT_LT(found.report.recall, 1);
}

TEST(SearchNeighbors, DoesNotDependOnTheNumberOfThreads) {
  Random random(4);
  for (int round = 0; round < 5; ++round) {
    const auto rows = RandomRows(random, 1000, kWidth);
    const NeighborOptions options = {.k = 5, .method = SearchMethod::kLists};
    const Outcome together = SearchGroups(rows, options);
    const OneCore alone;
    const Outcome found = SearchGroups(rows, options);
    EXPECT_EQ(found.lists, together.lists);
    EXPECT_EQ(found.report.probes, together.report.probes);
    EXPECT_EQ(found.report.recall, together.report.recall);
  }
}

TEST(SearchNeighbors, ListsNobodyTwiceAndNoRowItself) {
  Random random(5);
  const auto rows = GroupedRows(random, 1200);
  const Outcome found = SearchGroups(
      rows, {.method = SearchMethod::kLists, .lists = 60, .probes = 7});
  for (int32_t i = 0; i < 1200; ++i) {
    std::set<int32_t> own;
    for (int j = 0; j < 10; ++j) {
      const int32_t document = found.lists[i * 10 + j].document;
      EXPECT_NE(document, i);
      if (document >= 0) {
        EXPECT_TRUE(own.insert(document).second);
      }
    }
  }
}

TEST(SearchNeighbors, ManagesWithWhatThereIs) {
  for (const int count : {0, 1, 2, 3, 50}) {
    // All alike, and all zeros.
    for (const float value : {1.0f, 0.0f}) {
      const std::vector<float> rows(count * kWidth, value);
      const Outcome found = SearchGroups(
          rows, {.k = 4, .method = SearchMethod::kLists, .lists = 9});
      EXPECT_EQ(found.lists.size(), count * 4u);
      for (int i = 0; i < count; ++i) {
        EXPECT_EQ(found.lists[i * 4].document < 0, count < 2);
      }
    }
  }
}

TEST(SearchNeighbors, IsExactForAFewDocumentsUnlessToldOtherwise) {
  Random random(6);
  const auto rows = RandomRows(random, 300, kWidth);
  const Outcome found = SearchGroups(rows, {.k = 5});
  EXPECT_EQ(found.report.lists, 0);
  EXPECT_EQ(found.lists, Nearest(rows, kWidth, 5));
}

TEST(FindMiddles, FindsTheMiddlesOfGroups) {
  // Four groups on axes of their own.
  std::vector<float> rows(400 * kWidth);
  Random random(7);
  for (int i = 0; i < 400; ++i) {
    rows[i * kWidth + i % 4] = 5;
    rows[i * kWidth + 4 + random.Below(8)] = 1;
  }
  // More than groups: chance may put two of the first into one.
  const auto middles = FindMiddles(RowSet(rows, kWidth), 24, 1);
  std::set<int64_t> axes;
  for (size_t i = 0; i < middles.size(); i += kWidth) {
    EXPECT_NEAR(Similarity(&middles[i], &middles[i], kWidth), 1, 1e-6);
    const auto row = middles.begin() + static_cast<int64_t>(i);
    axes.insert(std::max_element(row, row + kWidth) - row);
  }
  EXPECT_EQ(axes, (std::set<int64_t>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace lory::corpus
