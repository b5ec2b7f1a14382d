#include "common/text/pair_table.h"

#include <cstddef>
#include <functional>
#include <queue>
#include <utility>

namespace lory::text {
namespace {

// Up to here a quadratic search beats a queue.
constexpr size_t kShortWord = 48;

uint64_t PairKey(int32_t left, int32_t right) {
  return (uint64_t{static_cast<uint32_t>(left)} << 32) |
         static_cast<uint32_t>(right);
}

}  // namespace

void PairTable::Add(int32_t left, int32_t right, Merge merge) {
  merges_.insert_or_assign(PairKey(left, right), merge);
}

const PairTable::Merge* PairTable::Find(int32_t left, int32_t right) const {
  const auto found = merges_.find(PairKey(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void PairTable::Join(std::vector<int32_t>* ids) const {
  if (ids->size() <= kShortWord) {
    JoinShort(ids);
  } else {
    JoinLong(ids);
  }
}

void PairTable::JoinShort(std::vector<int32_t>* ids) const {
  while (true) {
    const Merge* best = nullptr;
    size_t place = 0;
    for (size_t i = 0; i + 1 < ids->size(); ++i) {
      const Merge* merge = Find((*ids)[i], (*ids)[i + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        place = i;
      }
    }
    if (best == nullptr) return;
    (*ids)[place] = best->id;
    ids->erase(ids->begin() + static_cast<int64_t>(place) + 1);
  }
}

// The same joins by a queue over a linked list: n log n, for words that an
// adversary (or a base64 blob) makes long.
void PairTable::JoinLong(std::vector<int32_t>* ids) const {
  constexpr int32_t kGone = -1;
  const int32_t count = static_cast<int32_t>(ids->size());
  std::vector<int32_t> next(count), previous(count);
  for (int32_t i = 0; i < count; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  const auto merge_at = [&](int32_t left) -> const Merge* {
    return next[left] < count ? Find((*ids)[left], (*ids)[next[left]])
                              : nullptr;
  };
  // Rank and place, 8 bytes a pair: of a word of megabytes there are millions.
  // Stale when the pair at the place has another rank by now.
  using Candidate = std::pair<int32_t, int32_t>;
  std::vector<Candidate> places;
  places.reserve(count);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(
      std::greater<>(), std::move(places));
  const auto offer = [&](int32_t left) {
    if (left < 0) return;
    if (const Merge* merge = merge_at(left)) queue.emplace(merge->rank, left);
  };
  for (int32_t i = 0; i + 1 < count; ++i) offer(i);
  while (!queue.empty()) {
    const auto [rank, left] = queue.top();
    queue.pop();
    const Merge* merge = (*ids)[left] == kGone ? nullptr : merge_at(left);
    if (merge == nullptr || merge->rank != rank) continue;
    const int32_t right = next[left];
    (*ids)[left] = merge->id;
    (*ids)[right] = kGone;
    next[left] = next[right];
    if (next[left] < count) previous[next[left]] = left;
    offer(previous[left]);
    offer(left);
  }
  std::erase(*ids, kGone);
}

}  // namespace lory::text
