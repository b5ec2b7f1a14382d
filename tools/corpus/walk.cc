#include "tools/corpus/walk.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/base/random.h"

namespace lory::corpus {
namespace {

// Neighbours of all documents in one array, those of each the best first.
struct Graph {
  std::vector<int64_t> begins;  // one more than documents
  std::vector<Neighbor> joints;

  std::span<const Neighbor> Of(int64_t document) const {
    return std::span(joints).subspan(begins[document],
                                     begins[document + 1] - begins[document]);
  }
  int64_t Degree(int64_t document) const {
    return begins[document + 1] - begins[document];
  }
};

Graph JoinBothWays(std::span<const Neighbor> neighbors, int32_t k,
                   std::span<const uint8_t> dropped) {
  struct Joint {
    int32_t from;
    Neighbor to;
  };
  std::vector<Joint> joints;
  for (size_t i = 0; i < neighbors.size(); ++i) {
    const int32_t from = static_cast<int32_t>(i / k);
    const auto& [to, similarity] = neighbors[i];
    if (to < 0 || dropped[from] || dropped[to]) continue;
    joints.push_back({from, {to, similarity}});
    joints.push_back({to, {from, similarity}});
  }
  std::sort(joints.begin(), joints.end(), [](const Joint& a, const Joint& b) {
    return std::tuple(a.from, -a.to.similarity, a.to.document) <
           std::tuple(b.from, -b.to.similarity, b.to.document);
  });
  Graph graph;
  graph.begins.assign(dropped.size() + 1, 0);
  for (size_t i = 0; i < joints.size(); ++i) {
    // Found from both ends: once is enough. The similarity of a pair is one
    // number, so the two stand side by side.
    if (i > 0 && joints[i].from == joints[i - 1].from &&
        joints[i].to == joints[i - 1].to) {
      continue;
    }
    graph.joints.push_back(joints[i].to);
    ++graph.begins[joints[i].from + 1];
  }
  for (size_t i = 0; i < dropped.size(); ++i) {
    graph.begins[i + 1] += graph.begins[i];
  }
  return graph;
}

}  // namespace

Walk WalkSimilar(std::span<const Neighbor> neighbors, int32_t k,
                 std::span<const uint8_t> dropped, uint64_t seed) {
  const Graph graph = JoinBothWays(neighbors, k, dropped);
  std::vector<int32_t> starts;
  for (size_t i = 0; i < dropped.size(); ++i) {
    if (!dropped[i]) starts.push_back(static_cast<int32_t>(i));
  }
  std::sort(starts.begin(), starts.end(), [&](int32_t a, int32_t b) {
    return std::tuple(graph.Degree(a), Mix64(seed + a), a) <
           std::tuple(graph.Degree(b), Mix64(seed + b), b);
  });
  Walk walk;
  std::vector<uint8_t> visited(dropped.size());
  for (const int32_t start : starts) {
    if (visited[start]) continue;
    ++walk.jumps;
    for (int32_t here = start; here >= 0;) {
      visited[here] = 1;
      walk.order.push_back(here);
      int32_t next = -1;
      for (const Neighbor& joint : graph.Of(here)) {
        if (!visited[joint.document]) {
          next = joint.document;
          break;
        }
      }
      here = next;
    }
  }
  if (walk.jumps > 0) --walk.jumps;  // the first start is no jump
  return walk;
}

Walk WalkRandomly(std::span<const uint8_t> dropped, uint64_t seed) {
  Walk walk;
  for (size_t i = 0; i < dropped.size(); ++i) {
    if (!dropped[i]) walk.order.push_back(static_cast<int32_t>(i));
  }
  Random random(Mix64(seed));
  for (size_t i = walk.order.size(); i > 1; --i) {
    std::swap(walk.order[i - 1], walk.order[random.Below(i)]);
  }
  return walk;
}

}  // namespace lory::corpus
