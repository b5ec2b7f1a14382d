#include "tools/corpus/walk.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/corpus/random_rows.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/walk_report.h"

namespace lory::corpus {
namespace {

// In-Context Pretraining's walk as the paper's prose says it, with sets.
std::vector<int32_t> WalkByTheBook(const std::vector<Neighbor>& neighbors,
                                   int k, const std::vector<uint8_t>& dropped,
                                   uint64_t seed, bool directed = false) {
  const int count = static_cast<int>(dropped.size());
  std::map<int, std::map<int, float>> graph;
  std::map<int, size_t> listed_by;
  const auto degree = [&](int i) {
    return directed ? listed_by[i] : graph[i].size();
  };
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < k; ++j) {
      const Neighbor& to = neighbors[i * k + j];
      if (to.document < 0 || dropped[i] || dropped[to.document]) continue;
      graph[i][to.document] = to.similarity;
      if (directed) {
        ++listed_by[to.document];
      } else {
        graph[to.document][i] = to.similarity;
      }
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
            return std::tuple(degree(a), Mix64(seed + a), a) <
                   std::tuple(degree(b), Mix64(seed + b), b);
          });
    }
    unvisited.erase(next);
    order.push_back(next);
    here = next;
  }
  return order;
}

// Lists as no exact search gives them: who lists whom is left to chance, some
// lists are short. Of each pair there is one similarity, with many ties.
std::vector<Neighbor> RandomLists(Random& random, int count, int k) {
  std::vector<std::vector<float>> table(count, std::vector<float>(count));
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < i; ++j) {
      table[i][j] = table[j][i] =
          static_cast<float>(random.Below(12)) / 10 - 0.1f;
    }
  }
  std::vector<Neighbor> lists;
  for (int i = 0; i < count; ++i) {
    std::vector<Neighbor> list;
    for (int j = 0; j < count; ++j) {
      if (j == i || random.Below(static_cast<uint64_t>(count)) >=
                        static_cast<uint64_t>(k)) {
        continue;
      }
      list.push_back({j, table[i][j]});
    }
    std::sort(list.begin(), list.end(),
              [](const Neighbor& a, const Neighbor& b) {
                return std::tuple(-a.similarity, a.document) <
                       std::tuple(-b.similarity, b.document);
              });
    list.resize(k);
    lists.insert(lists.end(), list.begin(), list.end());
  }
  return lists;
}

// One graph after the other, every other one from an exact search.
struct RandomGraph {
  RandomGraph(Random& random, int round, int most)
      : count(2 + static_cast<int>(random.Below(most - 1))),
        k(1 + static_cast<int>(random.Below(4))),
        neighbors(round % 2 == 0 ? RandomLists(random, count, k)
                                 : Nearest(RandomRows(random, count, 3), 3, k)),
        dropped(count) {
    for (uint8_t& one : dropped) one = random.Below(6) == 0;
  }

  const int count;
  const int k;
  const std::vector<Neighbor> neighbors;
  std::vector<uint8_t> dropped;
};

bool VisitsEachOnce(const Walk& walk, const std::vector<uint8_t>& dropped) {
  std::vector<int32_t> expected;
  for (size_t i = 0; i < dropped.size(); ++i) {
    if (!dropped[i]) expected.push_back(static_cast<int32_t>(i));
  }
  std::vector<int32_t> visited = walk.order;
  std::sort(visited.begin(), visited.end());
  return visited == expected;
}

TEST(WalkSimilar, EqualsTheBookOnThousandsOfRandomGraphs) {
  Random random(3);
  for (int round = 0; round < 4000; ++round) {
    const RandomGraph graph(random, round, 40);
    const Walk walk =
        WalkSimilar(graph.neighbors, graph.k, graph.dropped, round);
    ASSERT_EQ(walk.order,
              WalkByTheBook(graph.neighbors, graph.k, graph.dropped, round))
        << round;
    EXPECT_TRUE(VisitsEachOnce(walk, graph.dropped)) << round;
  }
}

// Of several parts, whose lists are turned round one by one.
TEST(WalkSimilar, EqualsTheBookOnALargeGraph) {
  Random random(12);
  const int count = 9500;
  std::vector<Neighbor> lists;
  for (int i = 0; i < count; ++i) {
    std::set<std::pair<float, int32_t>> list;
    while (list.size() < 4) {
      const auto other = static_cast<int32_t>(random.Below(count));
      const uint64_t pair =
          Mix64(std::min(i, other) * count + std::max(i, other));
      if (other != i) list.emplace(static_cast<float>(pair % 50) - 40, other);
    }
    for (const auto& [minus, other] : list) lists.push_back({other, -minus});
  }
  std::vector<uint8_t> dropped(count);
  EXPECT_EQ(WalkSimilar(lists, 4, dropped, 1).order,
            WalkByTheBook(lists, 4, dropped, 1));
  for (int i = 0; i < count; i += 1 + static_cast<int>(random.Below(40))) {
    dropped[i] = 1;
  }
  EXPECT_EQ(WalkSimilar(lists, 4, dropped, 2).order,
            WalkByTheBook(lists, 4, dropped, 2));
}

// Ranks above 254 are not told and must be looked up.
TEST(WalkSimilar, EqualsTheBookOnLongLists) {
  Random random(13);
  for (int round = 0; round < 4; ++round) {
    const int count = 500;
    const auto lists = RandomLists(random, count, 330);
    const std::vector<uint8_t> dropped(count);
    EXPECT_EQ(WalkSimilar(lists, 330, dropped, 1).order,
              WalkByTheBook(lists, 330, dropped, 1));
  }
}

TEST(WalkDirected, EqualsTheBookOnRandomGraphs) {
  Random random(14);
  int differ = 0;
  for (int round = 0; round < 1000; ++round) {
    const RandomGraph graph(random, round, 40);
    const Walk walk =
        WalkDirected(graph.neighbors, graph.k, graph.dropped, round);
    ASSERT_EQ(walk.order, WalkByTheBook(graph.neighbors, graph.k, graph.dropped,
                                        round, /*directed=*/true))
        << round;
    EXPECT_TRUE(VisitsEachOnce(walk, graph.dropped)) << round;
    differ += walk.order !=
              WalkSimilar(graph.neighbors, graph.k, graph.dropped, round).order;
  }
  EXPECT_GT(differ, 500);
}

TEST(WalkSimilar, ChainsBeginWhereThereIsNoJoint) {
  Random random(6);
  for (int round = 0; round < 500; ++round) {
    const RandomGraph graph(random, round, 30);
    const Walk walk = WalkSimilar(graph.neighbors, graph.k, graph.dropped, 1);
    const std::set<int32_t> begins(walk.chain_begins.begin(),
                                   walk.chain_begins.end());
    const auto lists = [&](int32_t from, int32_t to) {
      for (int j = 0; j < graph.k; ++j) {
        if (graph.neighbors[from * graph.k + j].document == to) return true;
      }
      return false;
    };
    for (int32_t i = 1; i < static_cast<int32_t>(walk.order.size()); ++i) {
      const int32_t a = walk.order[i - 1], b = walk.order[i];
      EXPECT_EQ(lists(a, b) || lists(b, a), !begins.contains(i));
    }
    EXPECT_EQ(begins.contains(0), !walk.order.empty());
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
  EXPECT_EQ(walk.jumps(), 0);
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

// sort.py of the released code, line by line, with a first document that
// counts and without the crash on documents that have nowhere to go.
std::vector<int32_t> ReleasedCode(const std::vector<Neighbor>& neighbors, int k,
                                  const std::vector<uint8_t>& dropped,
                                  size_t cluster_size) {
  std::set<int> unseen;
  for (size_t i = 0; i < dropped.size(); ++i) {
    if (!dropped[i]) unseen.insert(static_cast<int>(i));
  }
  const std::set<int> all = unseen;
  const auto knn = [&](int doc) {  // knn[1:10]
    std::vector<int> out;
    for (int j = 0; j < std::min(9, k); ++j) {
      const int to = neighbors[doc * k + j].document;
      if (all.contains(to)) out.push_back(to);
    }
    return out;
  };
  std::map<int, std::vector<int>> cluster2docs;
  std::map<int, int> doc2cluster;
  int cluster = 0, doc = -1;
  while (!unseen.empty()) {
    int first = -1;
    if (doc >= 0) {
      for (const int to : knn(doc)) {
        if (first < 0 && unseen.contains(to)) first = to;
      }
    }
    if (first < 0 || cluster2docs[cluster].size() >= cluster_size) {
      first = *unseen.begin();
      if (doc >= 0) ++cluster;
    }
    doc = first;
    unseen.erase(doc);
    cluster2docs[cluster].push_back(doc);
    doc2cluster[doc] = cluster;
  }
  for (int c = 0; c <= cluster; ++c) {
    if (cluster2docs[c].size() >= cluster_size) continue;
    const std::vector<int> docs = cluster2docs[c];
    std::vector<int> stay;
    for (const int d : docs) {
      int top = -1;
      for (const int to : knn(d)) {
        if (top < 0 && doc2cluster[to] != c) top = to;
      }
      if (top < 0) {
        stay.push_back(d);
        continue;
      }
      auto& others = cluster2docs[doc2cluster[top]];
      others.insert(std::find(others.begin(), others.end(), top), d);
      doc2cluster[d] = doc2cluster[top];
    }
    cluster2docs[c] = stay;
  }
  std::vector<int32_t> order;
  for (const auto& [c, docs] : cluster2docs) {
    order.insert(order.end(), docs.begin(), docs.end());
  }
  return order;
}

TEST(WalkAsReleased, EqualsItsTranscriptionOnRandomGraphs) {
  Random random(7);
  for (int round = 0; round < 2000; ++round) {
    const RandomGraph graph(random, round, 90);
    const Walk walk = WalkAsReleased(graph.neighbors, graph.k, graph.dropped);
    ASSERT_EQ(walk.order,
              ReleasedCode(graph.neighbors, graph.k, graph.dropped, 21))
        << round;
    EXPECT_TRUE(VisitsEachOnce(walk, graph.dropped)) << round;
  }
}

TEST(ReportOn, WeighsNoOrderBelowTheBestAndBoundsThatOne) {
  Random random(9);
  for (int round = 0; round < 300; ++round) {
    RandomGraph graph(random, round, 7);
    std::vector<int32_t> order =
        WalkSimilar(graph.neighbors, graph.k, graph.dropped, 1).order;
    const auto report = [&](const Walk& walk) {
      return ReportOn(walk, graph.neighbors, graph.k, graph.dropped);
    };
    const WalkReport greedy =
        report(WalkSimilar(graph.neighbors, graph.k, graph.dropped, 1));
    // All orders there are: the best, and the mean.
    std::sort(order.begin(), order.end());
    double best = -1e9, sum = 0;
    int64_t orders = 0;
    do {
      const double weight = report({order, {}}).weight;
      best = std::max(best, weight);
      sum += weight;
      ++orders;
    } while (std::next_permutation(order.begin(), order.end()));
    EXPECT_LE(greedy.weight, best + 1e-6);
    EXPECT_LE(best, greedy.upper_bound + 1e-6);
    EXPECT_NEAR(greedy.random_weight, sum / static_cast<double>(orders), 1e-5);
  }
}

TEST(ReportOn, CountsChains) {
  const std::vector<Neighbor> none(5);
  const WalkReport report =
      ReportOn({{0, 1, 2, 3, 4}, {0, 3, 4}}, none, 1, std::vector<uint8_t>(5));
  EXPECT_EQ(report.jumps, 2);
  EXPECT_EQ(report.longest_chain, 3);
  EXPECT_EQ(report.median_chain, 1);
  EXPECT_NEAR(report.mean_chain, 5.0 / 3, 1e-9);
  EXPECT_EQ(report.weight, 0);
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
