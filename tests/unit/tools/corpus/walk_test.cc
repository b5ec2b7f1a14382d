#include "tools/corpus/walk.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/neighbors.h"

namespace lory::corpus {
namespace {

using ::testing::ElementsAre;

// Unit vectors with few distinct directions, so that ties happen.
std::vector<float> RandomRows(Random& random, int count, int dimensions) {
  std::vector<float> rows;
  for (int i = 0; i < count * dimensions; ++i) {
    rows.push_back(static_cast<float>(random.Below(5)) - 2);
  }
  for (int i = 0; i < count; ++i) {
    float* row = rows.data() + i * dimensions;
    const double length = std::sqrt(Similarity(row, row, dimensions));
    for (int j = 0; j < dimensions && length > 0; ++j) {
      row[j] = static_cast<float>(row[j] / length);
    }
  }
  return rows;
}

// The naive double loop.
std::vector<Neighbor> AllNeighbors(const std::vector<float>& rows,
                                   int dimensions, int k) {
  const int count = static_cast<int>(rows.size()) / dimensions;
  std::vector<Neighbor> neighbors;
  for (int i = 0; i < count; ++i) {
    std::vector<Neighbor> all;
    for (int j = 0; j < count; ++j) {
      if (i == j) continue;
      all.push_back({j, static_cast<float>(Similarity(
                            rows.data() + i * dimensions,
                            rows.data() + j * dimensions, dimensions))});
    }
    std::sort(all.begin(), all.end(), [](const Neighbor& a, const Neighbor& b) {
      return std::tuple(-a.similarity, a.document) <
             std::tuple(-b.similarity, b.document);
    });
    all.resize(k);
    neighbors.insert(neighbors.end(), all.begin(), all.end());
  }
  return neighbors;
}

std::vector<Neighbor> Nearest(const std::vector<float>& rows, int dimensions,
                              int k) {
  return FindNeighbors(rows, dimensions, k, [](int64_t) {});
}

TEST(FindNeighbors, EqualsTheNaiveDoubleLoop) {
  Random random(1);
  for (int round = 0; round < 10; ++round) {
    std::vector<float> rows(200 * 16);
    for (float& value : rows) {
      value = static_cast<float>(random.NextDouble() - 0.5);
    }
    EXPECT_EQ(Nearest(rows, 16, 7), AllNeighbors(rows, 16, 7));
  }
}

TEST(FindNeighbors, FindsTheSameSimilaritiesAmongEquals) {
  // Which of several equals comes in last is the index's choice.
  Random random(2);
  const std::vector<float> rows = RandomRows(random, 100, 3);
  const auto found = Nearest(rows, 3, 5);
  const auto expected = AllNeighbors(rows, 3, 5);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].similarity, expected[i].similarity, 1e-6);
    EXPECT_NE(found[i].document, static_cast<int32_t>(i / 5));
  }
}

TEST(FindNeighbors, FewDocumentsHaveFewerNeighbours) {
  const std::vector<float> rows = {1, 0, 0, 1};
  EXPECT_THAT(Nearest(rows, 2, 3),
              ElementsAre(Neighbor{1, 0}, Neighbor{}, Neighbor{},
                          Neighbor{0, 0}, Neighbor{}, Neighbor{}));
  EXPECT_THAT(Nearest({1, 0}, 2, 1), ElementsAre(Neighbor{}));
  EXPECT_TRUE(Nearest({}, 2, 1).empty());
}

// In-Context Pretraining's walk as the paper's prose says it, with sets.
std::vector<int32_t> WalkByTheBook(const std::vector<Neighbor>& neighbors,
                                   int k, const std::vector<uint8_t>& dropped,
                                   uint64_t seed) {
  const int count = static_cast<int>(dropped.size());
  std::map<int, std::map<int, float>> graph;
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < k; ++j) {
      const Neighbor& to = neighbors[i * k + j];
      if (to.document < 0 || dropped[i] || dropped[to.document]) continue;
      graph[i][to.document] = to.similarity;
      graph[to.document][i] = to.similarity;
    }
  }
  std::set<int> unvisited;
  for (int i = 0; i < count; ++i) {
    if (!dropped[i]) unvisited.insert(i);
  }
  std::vector<int32_t> order;
  int here = -1;
  while (!unvisited.empty()) {
    int next = -1;
    if (here >= 0) {
      for (const auto& [to, similarity] : graph[here]) {
        if (unvisited.contains(to) &&
            (next < 0 || similarity > graph[here][next])) {
          next = to;
        }
      }
    }
    if (next < 0) {
      next = *std::min_element(
          unvisited.begin(), unvisited.end(), [&](int a, int b) {
            return std::tuple(graph[a].size(), Mix64(seed + a), a) <
                   std::tuple(graph[b].size(), Mix64(seed + b), b);
          });
    }
    unvisited.erase(next);
    order.push_back(next);
    here = next;
  }
  return order;
}

TEST(WalkSimilar, EqualsTheBookOnRandomGraphs) {
  Random random(3);
  for (int round = 0; round < 400; ++round) {
    const int count = 2 + static_cast<int>(random.Below(40));
    const int k = 1 + static_cast<int>(random.Below(4));
    const auto neighbors = Nearest(RandomRows(random, count, 3), 3, k);
    std::vector<uint8_t> dropped(count);
    for (uint8_t& one : dropped) one = random.Below(6) == 0;
    const Walk walk = WalkSimilar(neighbors, k, dropped, round);
    EXPECT_EQ(walk.order, WalkByTheBook(neighbors, k, dropped, round)) << round;
  }
}

TEST(WalkSimilar, VisitsEveryDocumentOnce) {
  Random random(4);
  const int count = 3000;
  const auto neighbors = Nearest(RandomRows(random, count, 8), 8, 6);
  Walk walk = WalkSimilar(neighbors, 6, std::vector<uint8_t>(count), 1);
  std::sort(walk.order.begin(), walk.order.end());
  std::vector<int32_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(walk.order, all);
}

TEST(WalkSimilar, StartsAtTheLonelyEndAndFollowsTheBestEdge) {
  // 3 - 1 - 0 - 2, with 0 - 1 the strongest: ends have degree 1.
  const std::vector<Neighbor> neighbors = {
      {1, .9f}, {2, .5f}, {0, .9f}, {3, .4f}, {0, .5f}, {}, {1, .4f}, {}};
  const Walk walk = WalkSimilar(neighbors, 2, std::vector<uint8_t>(4), 1);
  EXPECT_TRUE(walk.order == (std::vector<int32_t>{3, 1, 0, 2}) ||
              walk.order == (std::vector<int32_t>{2, 0, 1, 3}));
  EXPECT_EQ(walk.jumps, 0);
}

TEST(WalkSimilar, PutsSimilarDocumentsSideBySide) {
  Random random(5);
  const auto rows = RandomRows(random, 2000, 8);
  const auto mean = [&](const std::vector<int32_t>& order) {
    double sum = 0;
    for (size_t i = 1; i < order.size(); ++i) {
      sum += Similarity(rows.data() + order[i - 1] * 8,
                        rows.data() + order[i] * 8, 8);
    }
    return sum / static_cast<double>(order.size());
  };
  const std::vector<uint8_t> none(2000);
  EXPECT_GT(mean(WalkSimilar(Nearest(rows, 8, 10), 10, none, 1).order), 0.8);
  EXPECT_LT(mean(WalkRandomly(none, 1).order), 0.1);
}

TEST(WalkRandomly, LeavesOutTheDroppedAndDependsOnTheSeed) {
  std::vector<uint8_t> dropped(100);
  dropped[7] = 1;
  const Walk walk = WalkRandomly(dropped, 1);
  EXPECT_EQ(walk.order.size(), 99u);
  EXPECT_EQ(std::count(walk.order.begin(), walk.order.end(), 7), 0);
  EXPECT_EQ(walk.order, WalkRandomly(dropped, 1).order);
  EXPECT_NE(walk.order, WalkRandomly(dropped, 2).order);
}

}  // namespace
}  // namespace lory::corpus
