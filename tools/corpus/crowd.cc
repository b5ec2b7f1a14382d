#include "tools/corpus/crowd.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "tools/corpus/parallel.h"
#include "tools/corpus/shingles.h"

namespace lory::corpus {
namespace {

constexpr int64_t kCrowdGrain = 64;  // documents
constexpr int32_t kNoMember = -1;
constexpr int32_t kNotLookedFor = -2;

}  // namespace

Crowd::Crowd(std::vector<int32_t> members, std::vector<uint8_t> is_listed,
             const std::vector<int32_t>& kept_for, const NearLimits& limits,
             const NearTest& test)
    : members_(std::move(members)),
      is_listed_(std::move(is_listed)),
      kept_for_(kept_for),
      limits_(limits),
      test_(test),
      found_(members_.size(), kNoMember) {}

int32_t Crowd::Begin() {
  const auto count = static_cast<int64_t>(members_.size());
  if (limits_.overlap <= 0) {
    end_ = count;
  } else {
    // What goes for one of a part before is none that another goes for.
    NearSide rest;
    std::vector<int64_t> places;
    for (int64_t i = end_; i < count; ++i) {
      if (found_[i] != kNoMember) continue;
      rest.push_back(members_[i]);
      places.push_back(i);
    }
    ShingleSets sets = GatherShingles(rest, limits_.index_bytes, test_.text_of);
    const auto taken = static_cast<size_t>(sets.count());
    end_ = taken < rest.size() ? places[taken] : count;
    rest.resize(taken);
    part_ = std::move(rest);
    earlier_.assign(taken, kNoMember);
    for (size_t n = 0; n < taken; ++n) {
      if (is_listed_[places[n]]) earlier_[n] = kNotLookedFor;
    }
    lookup_.reset();
    index_.emplace(std::move(sets), limits_.overlap);
    lookup_.emplace(*index_);
    FindEarlier();
  }
  return end_ < count ? members_[end_] : std::numeric_limits<int32_t>::max();
}

// Most have none, whatever becomes of the others.
void Crowd::FindEarlier() {
  ParallelFor(static_cast<int64_t>(part_.size()), kCrowdGrain,
              [&](int64_t begin, int64_t end) {
                ShingleIndex::Lookup lookup(*index_);
                for (int64_t n = begin; n < end; ++n) {
                  if (earlier_[n] == kNotLookedFor) continue;
                  const auto number = static_cast<int32_t>(n);
                  earlier_[n] = lookup
                                    .First(index_->set(number), number,
                                           [&](int32_t i) {
                                             return IsNear(part_[i], part_[n]);
                                           })
                                    .set;
                }
              });
}

int32_t Crowd::StayingCopyOf(int32_t document) {
  while (next_ < end_ && members_[next_] < document) ++next_;
  if (next_ == end_ || members_[next_] != document) return kNoMember;
  if (found_[next_] != kNoMember) return found_[next_];
  if (limits_.overlap <= 0) {
    for (int64_t i = 0; i < next_; ++i) {
      const int32_t other = members_[i];
      if (kept_for_[other] < 0 && IsNear(other, document)) return other;
    }
    return kNoMember;
  }
  const auto n = static_cast<int32_t>(
      std::lower_bound(part_.begin(), part_.end(), document) - part_.begin());
  if (earlier_[n] == kNoMember) return kNoMember;
  if (earlier_[n] >= 0 && kept_for_[part_[earlier_[n]]] < 0) {
    return part_[earlier_[n]];
  }
  const int32_t set = lookup_
                          ->First(index_->set(n), n,
                                  [&](int32_t i) {
                                    return kept_for_[part_[i]] < 0 &&
                                           IsNear(part_[i], document);
                                  })
                          .set;
  return set < 0 ? kNoMember : part_[set];
}

void Crowd::Finish() {
  const auto count = static_cast<int64_t>(members_.size());
  ParallelFor(count - end_, kCrowdGrain, [&](int64_t begin, int64_t end) {
    ShingleIndex::Lookup lookup(*index_);
    for (int64_t i = end_ + begin; i < end_ + end; ++i) {
      if (found_[i] != kNoMember) continue;
      const int32_t set = lookup
                              .First(ShinglesOf(test_.text_of(members_[i])),
                                     static_cast<int32_t>(part_.size()),
                                     [&](int32_t other) {
                                       return kept_for_[part_[other]] < 0 &&
                                              IsNear(part_[other], members_[i]);
                                     })
                              .set;
      if (set >= 0) found_[i] = part_[set];
    }
  });
}

}  // namespace lory::corpus
