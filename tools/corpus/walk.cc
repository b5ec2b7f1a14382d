#include "tools/corpus/walk.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "common/base/random.h"

namespace lory::corpus {
namespace {

// The undirected graph over given lists, without a copy of them: only who
// lists a document that does not list them back is kept.
class Joints {
 public:
  Joints(std::span<const Neighbor> neighbors, int32_t k,
         std::span<const uint8_t> dropped)
      : neighbors_(neighbors),
        k_(k),
        dropped_(dropped),
        begins_(dropped.size() + 1) {
    Fill();
    DropMutual();
  }

  std::span<const Neighbor> Row(int64_t document) const {
    return neighbors_.subspan(document * k_, k_);
  }
  // Those that list `document`, and are not listed by it.
  std::span<const int32_t> ListedBy(int64_t document) const {
    return std::span(listed_by_)
        .subspan(begins_[document], begins_[document + 1] - begins_[document]);
  }
  int64_t Degree(int64_t document) const {
    int64_t degree = begins_[document + 1] - begins_[document];
    for (const Neighbor& neighbor : Row(document)) degree += IsJoint(neighbor);
    return degree;
  }
  // What document `from` gives `to`, which it lists.
  float SimilarityOf(int64_t from, int32_t to) const {
    for (const Neighbor& neighbor : Row(from)) {
      if (neighbor.document == to) return neighbor.similarity;
    }
    return 0;
  }
  void Fetch(int64_t document) const {
    const char* row = reinterpret_cast<const char*>(Row(document).data());
    for (size_t byte = 0; byte < k_ * sizeof(Neighbor); byte += 64) {
      __builtin_prefetch(row + byte);
    }
  }

 private:
  int64_t count() const { return static_cast<int64_t>(dropped_.size()); }

  bool IsJoint(const Neighbor& neighbor) const {
    return neighbor.document >= 0 && !dropped_[neighbor.document];
  }
  bool Lists(int64_t from, int32_t to) const {
    bool listed = false;  // without a branch: rows are short
    for (const Neighbor& neighbor : Row(from)) {
      listed |= neighbor.document == to;
    }
    return listed;
  }

  // Every edge at its end; no order of memory but that of the lists.
  void Fill() {
    for (int64_t i = 0; i < count(); ++i) {
      if (dropped_[i]) continue;
      for (const Neighbor& neighbor : Row(i)) {
        if (IsJoint(neighbor)) ++begins_[neighbor.document + 1];
      }
    }
    std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
    listed_by_.resize(begins_.back());
    // begins_[i] runs to the end of i's place, and is set back after.
    for (int64_t i = 0; i < count(); ++i) {
      if (dropped_[i]) continue;
      for (const Neighbor& neighbor : Row(i)) {
        if (!IsJoint(neighbor)) continue;
        listed_by_[begins_[neighbor.document]++] = static_cast<int32_t>(i);
      }
    }
    for (int64_t i = count(); i > 0; --i) begins_[i] = begins_[i - 1];
    begins_[0] = 0;
  }

  // Without those that the document lists itself, moved together.
  void DropMutual() {
    int64_t out = 0;
    for (int64_t i = 0; i < count(); ++i) {
      const int64_t begin = begins_[i], end = begins_[i + 1];
      begins_[i] = out;
      for (int64_t at = begin; at < end; ++at) {
        if (!Lists(i, listed_by_[at])) listed_by_[out++] = listed_by_[at];
      }
    }
    begins_[count()] = out;
  }

  const std::span<const Neighbor> neighbors_;
  const int64_t k_;
  const std::span<const uint8_t> dropped_;
  std::vector<int64_t> begins_;  // in listed_by_; one more than documents
  std::vector<int32_t> listed_by_;
};

// Unvisited documents by degree; of one degree as the seed has it. Only what
// is still unvisited when its degree comes up is sorted.
class Starts {
 public:
  Starts(const Joints& joints, std::span<const uint8_t> dropped, uint64_t seed)
      : seed_(seed) {
    for (size_t i = 0; i < dropped.size(); ++i) {
      if (dropped[i]) continue;
      const size_t degree = static_cast<size_t>(joints.Degree(i));
      if (ends_.size() <= degree) ends_.resize(degree + 1);
      ++ends_[degree];
    }
    std::partial_sum(ends_.begin(), ends_.end(), ends_.begin());
    documents_.resize(ends_.empty() ? 0 : ends_.back());
    // Filled from the back, so that each end becomes a begin ...
    for (size_t i = dropped.size(); i-- > 0;) {
      if (dropped[i]) continue;
      documents_[--ends_[joints.Degree(i)]] = static_cast<int32_t>(i);
    }
    // ... and the next begin is this end again.
    ends_.push_back(static_cast<int64_t>(documents_.size()));
  }

  // -1: all are visited.
  int32_t Next(const std::vector<uint8_t>& visited) {
    while (true) {
      for (; at_ < end_; ++at_) {
        if (!visited[documents_[at_]]) return documents_[at_];
      }
      if (degree_ + 1 >= ends_.size()) return -1;
      Sort(visited);
    }
  }

 private:
  void Sort(const std::vector<uint8_t>& visited) {
    const auto begin = documents_.begin() + ends_[degree_];
    auto end = documents_.begin() + ends_[degree_ + 1];
    end =
        std::remove_if(begin, end, [&](int32_t i) { return visited[i] != 0; });
    std::sort(begin, end, [this](int32_t a, int32_t b) {
      return std::tuple(Mix64(seed_ + a), a) < std::tuple(Mix64(seed_ + b), b);
    });
    at_ = ends_[degree_];
    end_ = end - documents_.begin();
    ++degree_;
  }

  const uint64_t seed_;
  std::vector<int32_t> documents_;
  std::vector<int64_t> ends_;  // of each degree, where documents_ has it
  size_t degree_ = 0;          // the next to sort
  int64_t at_ = 0, end_ = 0;
};

// The best unvisited document that is joined to `here`; -1: none.
int32_t BestJoint(const Joints& joints, const std::vector<uint8_t>& visited,
                  int32_t here) {
  Neighbor best;
  for (const Neighbor& neighbor : joints.Row(here)) {
    if (neighbor.document >= 0 && !visited[neighbor.document]) {
      best = neighbor;
      break;
    }
  }
  const std::span<const int32_t> others = joints.ListedBy(here);
  for (const int32_t other : others) {
    if (!visited[other]) joints.Fetch(other);
  }
  for (const int32_t other : others) {
    if (visited[other]) continue;
    const float similarity = joints.SimilarityOf(other, here);
    if (best.document < 0 || similarity > best.similarity ||
        (similarity == best.similarity && other < best.document)) {
      best = {other, similarity};
    }
  }
  return best.document;
}

}  // namespace

Walk WalkSimilar(std::span<const Neighbor> neighbors, int32_t k,
                 std::span<const uint8_t> dropped, uint64_t seed) {
  const Joints joints(neighbors, k, dropped);
  Starts starts(joints, dropped, seed);
  Walk walk;
  walk.order.reserve(dropped.size());
  // What is dropped is no place to go either.
  std::vector<uint8_t> visited(dropped.begin(), dropped.end());
  for (int32_t here = starts.Next(visited); here >= 0;
       here = starts.Next(visited)) {
    walk.chain_begins.push_back(static_cast<int32_t>(walk.order.size()));
    for (; here >= 0; here = BestJoint(joints, visited, here)) {
      visited[here] = 1;
      walk.order.push_back(here);
    }
  }
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
  walk.chain_begins.resize(walk.order.size());
  std::iota(walk.chain_begins.begin(), walk.chain_begins.end(), 0);
  return walk;
}

}  // namespace lory::corpus
