#include "tools/corpus/walk.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "common/base/random.h"
#include "tools/corpus/joints.h"

namespace lory::corpus {
namespace {

// Unvisited documents by degree; of one degree as the seed has it. Only what
// is still unvisited when its degree comes up is sorted.
class Starts {
 public:
  Starts(const std::vector<int32_t>& degrees, std::span<const uint8_t> dropped,
         uint64_t seed)
      : seed_(seed) {
    for (size_t i = 0; i < dropped.size(); ++i) {
      if (dropped[i]) continue;
      const auto degree = static_cast<size_t>(degrees[i]);
      if (ends_.size() <= degree) ends_.resize(degree + 1);
      ++ends_[degree];
    }
    std::partial_sum(ends_.begin(), ends_.end(), ends_.begin());
    documents_.resize(ends_.empty() ? 0 : ends_.back());
    // Filled from the back, so that each end becomes a begin ...
    for (size_t i = dropped.size(); i-- > 0;) {
      if (dropped[i]) continue;
      documents_[--ends_[degrees[i]]] = static_cast<int32_t>(i);
    }
    // ... and the next begin is this end again.
    ends_.push_back(static_cast<int64_t>(documents_.size()));
  }

  // -1: all are visited.
  int32_t Next(const DocumentBits& visited) {
    while (true) {
      for (; at_ < end_; ++at_) {
        if (!visited[documents_[at_]]) return documents_[at_];
      }
      if (degree_ + 1 >= ends_.size()) return -1;
      Sort(visited);
    }
  }

 private:
  void Sort(const DocumentBits& visited) {
    const auto begin = documents_.begin() + ends_[degree_];
    auto end = documents_.begin() + ends_[degree_ + 1];
    end = std::remove_if(begin, end, [&](int32_t i) { return visited[i]; });
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

// The place of the first unvisited neighbour; the row's size: there is none.
size_t FirstUnvisited(std::span<const Neighbor> row,
                      const DocumentBits& visited) {
  size_t at = 0;
  while (at < row.size() &&
         (row[at].document < 0 || visited[row[at].document])) {
    ++at;
  }
  return at;
}

// Whether `lister`, of a rank too great to be told, is a better one for `here`
// than its own neighbour `own`.
bool IsBetter(const Joints& joints, int32_t lister, int32_t here,
              const Neighbor& own) {
  for (const Neighbor& neighbor : joints.Row(lister)) {
    if (neighbor.document != here) continue;
    return std::tuple(-neighbor.similarity, lister) <
           std::tuple(-own.similarity, own.document);
  }
  return false;
}

void FetchNext(const Joints& joints, std::span<const Neighbor> row,
               const DocumentBits& visited) {
  constexpr size_t kFetched = 3;
  for (size_t i = 0; i < std::min(row.size(), kFetched); ++i) {
    const int32_t document = row[i].document;
    if (document >= 0 && !visited[document]) joints.Fetch(document);
  }
}

// The best unvisited document that is joined to `here`; -1: none.
int32_t BestJoint(const Joints& joints, const DocumentBits& visited,
                  int32_t here) {
  joints.FetchListers(here);
  const std::span<const Neighbor> row = joints.Row(here);
  const size_t at = FirstUnvisited(row, visited);
  const int32_t own = at < row.size() ? row[at].document : -1;
  // Where the walk goes next more often than not, and soon.
  if (own >= 0) {
    joints.Fetch(own);
    joints.FetchListers(own);
    FetchNext(joints, row.subspan(at + 1), visited);
  }
  const int64_t listers = joints.ListersOf(here);
  for (int64_t i = 0; i < listers; ++i) {
    const auto [lister, rank] = joints.ListerAt(here, i);
    if (rank > at) break;  // and so are all that follow
    if (visited[lister]) continue;
    if (rank == Joints::kMany && own >= 0 &&
        !IsBetter(joints, lister, here, row[at])) {
      break;
    }
    return lister;
  }
  return own;
}

// From start to start, going on with what `next` says; -1: nowhere.
template <typename NextOf>
Walk Follow(Starts starts, std::span<const uint8_t> dropped,
            const NextOf& next_of) {
  Walk walk;
  walk.order.reserve(dropped.size());
  // What is dropped is no place to go either.
  DocumentBits visited(dropped);
  for (int32_t here = starts.Next(visited); here >= 0;
       here = starts.Next(visited)) {
    walk.chain_begins.push_back(static_cast<int32_t>(walk.order.size()));
    for (; here >= 0; here = next_of(visited, here)) {
      visited.Set(here);
      walk.order.push_back(here);
    }
  }
  return walk;
}

}  // namespace

Walk WalkSimilar(std::span<const Neighbor> neighbors, int32_t k,
                 std::span<const uint8_t> dropped, uint64_t seed) {
  Joints joints(neighbors, k, dropped);
  return Follow(Starts(joints.TakeDegrees(), dropped, seed), dropped,
                [&](const DocumentBits& visited, int32_t here) {
                  return BestJoint(joints, visited, here);
                });
}

Walk WalkDirected(std::span<const Neighbor> neighbors, int32_t k,
                  std::span<const uint8_t> dropped, uint64_t seed) {
  std::vector<int32_t> degrees(dropped.size());
  for (size_t i = 0; i < neighbors.size(); ++i) {
    const int32_t to = neighbors[i].document;
    if (to >= 0 && !dropped[i / k]) ++degrees[to];
  }
  return Follow(Starts(degrees, dropped, seed), dropped,
                [&](const DocumentBits& visited, int32_t here) {
                  const auto row = neighbors.subspan(int64_t{here} * k, k);
                  const size_t at = FirstUnvisited(row, visited);
                  return at < row.size() ? row[at].document : -1;
                });
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
