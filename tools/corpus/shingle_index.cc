#include "tools/corpus/shingle_index.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tools/corpus/parallel.h"
#include "tools/corpus/shingles.h"

namespace lory::corpus {
namespace {

// Of what is rounded; a little lower lists a little more.
constexpr double kOverlapSlack = 1e-9;
// Shingles are hashes: of so many there are two to four in a bucket.
constexpr size_t kBucketShingles = 4;
constexpr int64_t kGatherBytes = 16 << 20;  // of text at a time
constexpr int64_t kGatherGrain = 64;        // documents
constexpr int64_t kMostShingles = 1 << 30;  // whose places fit 32 bits
constexpr int64_t kMostCounted = 1 << 14;   // sets at a time

ShingleSets GatherUpTo(
    std::span<const int32_t> documents, int64_t most_shingles,
    const std::function<absl::string_view(int32_t)>& text_of) {
  ShingleSets sets;
  const auto count = static_cast<int64_t>(documents.size());
  for (int64_t first = 0; first < count;) {
    int64_t last = first, bytes = 0;
    while (last < count && (last == first || bytes < kGatherBytes)) {
      bytes += static_cast<int64_t>(text_of(documents[last++]).size());
    }
    std::vector<std::vector<uint64_t>> batch(last - first);
    ParallelFor(last - first, kGatherGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        batch[i] = ShinglesOf(text_of(documents[first + i]));
      }
    });
    for (const std::vector<uint64_t>& set : batch) {
      const int64_t size = static_cast<int64_t>(set.size());
      if (sets.count() > 0 && sets.shingles() + size > most_shingles) {
        return sets;
      }
      sets.Add(set);
    }
    first = last;
  }
  return sets;
}

}  // namespace

void ShingleSets::Add(std::span<const uint64_t> set) {
  all_.insert(all_.end(), set.begin(), set.end());
  begins_.push_back(static_cast<int64_t>(all_.size()));
}

void ShingleSets::Shrink() {
  all_.shrink_to_fit();
  begins_.shrink_to_fit();
}

ShingleSets GatherShingles(
    std::span<const int32_t> documents, int64_t index_bytes,
    const std::function<absl::string_view(int32_t)>& text_of) {
  ShingleSets sets = GatherUpTo(
      documents,
      std::min(index_bytes / ShingleIndex::kBytesAShingle, kMostShingles),
      text_of);
  sets.Shrink();
  return sets;
}

ShingleIndex::ShingleIndex(ShingleSets sets, double overlap)
    : sets_(std::move(sets)), overlap_(overlap), shingles_(sets_.all()) {
  std::sort(shingles_.begin(), shingles_.end());
  CountSets();
  FindBuckets();
  ListSets();
}

void ShingleIndex::CountSets() {
  size_t distinct = 0;
  for (size_t i = 0; i < shingles_.size(); ++i) {
    if (i == 0 || shingles_[i] != shingles_[i - 1]) ++distinct;
  }
  sets_with_.assign(distinct, 0);
  size_t kept = 0;
  for (size_t i = 0; i < shingles_.size();) {
    const uint64_t shingle = shingles_[i];
    for (; i < shingles_.size() && shingles_[i] == shingle; ++i) {
      ++sets_with_[kept];
    }
    shingles_[kept++] = shingle;
  }
  shingles_.resize(kept);
}

void ShingleIndex::FindBuckets() {
  int bits = 1;
  while ((kBucketShingles << bits) < shingles_.size()) ++bits;
  bucket_shift_ = 64 - bits;
  bucket_begins_.assign((size_t{1} << bits) + 1, 0);
  for (const uint64_t shingle : shingles_) {
    ++bucket_begins_[(shingle >> bucket_shift_) + 1];
  }
  for (size_t i = 1; i < bucket_begins_.size(); ++i) {
    bucket_begins_[i] += bucket_begins_[i - 1];
  }
}

void ShingleIndex::ListSets() {
  list_begins_.assign(shingles_.size() + 1, 0);
  last_places_.assign(sets_.count(), -1);
  for (int64_t i = 0; i < sets_.count(); ++i) {
    const Prefix prefix = PrefixOf(sets_[i]);
    for (const int64_t place : prefix.places) ++list_begins_[place + 1];
    if (prefix.places.empty()) continue;
    last_places_[i] = static_cast<int32_t>(prefix.places.back());
  }
  for (size_t i = 1; i < list_begins_.size(); ++i) {
    list_begins_[i] += list_begins_[i - 1];
  }
  // Each list is filled from its end, so that its begin comes out in the end.
  listed_.resize(list_begins_.back());
  std::rotate(list_begins_.begin(), list_begins_.begin() + 1,
              list_begins_.end());
  list_begins_.back() = static_cast<int32_t>(listed_.size());
  for (int64_t i = sets_.count() - 1; i >= 0; --i) {
    int32_t rank = 0;
    for (const int64_t place : PrefixOf(sets_[i]).places) {
      listed_[--list_begins_[place]] = {static_cast<int32_t>(i), rank++};
    }
  }
}

int64_t ShingleIndex::PlaceOf(uint64_t shingle) const {
  const uint64_t bucket = shingle >> bucket_shift_;
  const auto begin = shingles_.begin() + bucket_begins_[bucket];
  const auto end = shingles_.begin() + bucket_begins_[bucket + 1];
  const auto found = std::lower_bound(begin, end, shingle);
  return found == end || *found != shingle ? -1 : found - shingles_.begin();
}

int64_t ShingleIndex::LeastShared(int64_t size) const {
  const double least = overlap_ * static_cast<double>(size);
  return std::max<int64_t>(
      1, static_cast<int64_t>(std::ceil(least - kOverlapSlack)));
}

bool ShingleIndex::IsRarer(int64_t place, int64_t other) const {
  return std::pair(sets_with_[place], place) <
         std::pair(sets_with_[other], other);
}

ShingleIndex::Prefix ShingleIndex::PrefixOf(
    std::span<const uint64_t> shingles) const {
  if (shingles.empty()) return {};
  // By how many sets have it; of equal ones all sets take the same first.
  std::vector<std::pair<int32_t, int64_t>> by_rarity;
  int64_t unknown = 0;  // the rarest of all
  for (const uint64_t shingle : shingles) {
    const int64_t place = PlaceOf(shingle);
    if (place < 0) {
      ++unknown;
    } else {
      by_rarity.emplace_back(sets_with_[place], place);
    }
  }
  const auto count = static_cast<int64_t>(shingles.size());
  const int64_t known =
      std::max<int64_t>(0, count - LeastShared(count) + 1 - unknown);
  std::partial_sort(by_rarity.begin(), by_rarity.begin() + known,
                    by_rarity.end());
  Prefix prefix = {.first_rank = static_cast<int32_t>(unknown)};
  for (int64_t i = 0; i < known; ++i) {
    prefix.places.push_back(by_rarity[i].second);
  }
  return prefix;
}

ShingleIndex::Match ShingleIndex::Lookup::First(
    std::span<const uint64_t> shingles) {
  return First(shingles, static_cast<int32_t>(index_.sets_.count()),
               [](int32_t) { return true; });
}

ShingleIndex::Match ShingleIndex::Lookup::First(
    std::span<const uint64_t> shingles, int32_t end,
    const std::function<bool(int32_t)>& accepts) {
  const Prefix prefix = index_.PrefixOf(shingles);
  rests_.clear();
  int32_t rank = prefix.first_rank;
  for (const int64_t place : prefix.places) {
    rests_.push_back(
        {index_.list_begins_[place], index_.list_begins_[place + 1], rank++});
  }
  const auto size = static_cast<int64_t>(shingles.size());
  // Few sets at first: often one of them is it.
  for (int64_t width = 1;; width = std::min(2 * width, kMostCounted)) {
    int32_t begin = end;
    std::erase_if(rests_, [&](const Rest& rest) {
      if (rest.next == rest.end) return true;
      begin = std::min(begin, index_.listed_[rest.next].set);
      return false;
    });
    if (begin >= end) return {};
    CountShared(begin,
                static_cast<int32_t>(std::min<int64_t>(end, begin + width)));
    ListCandidates(size, prefix.places.back(), begin);
    for (const int32_t set : candidates_) {
      if (!accepts(set)) continue;
      ++compared_;
      const double overlap = Overlap(shingles, index_.sets_[set]);
      if (overlap >= index_.overlap_) return {set, overlap};
    }
  }
}

// Of the sets from `begin` to `end`; lists ascend.
void ShingleIndex::Lookup::CountShared(int32_t begin, int32_t end) {
  shared_.resize(std::max<size_t>(shared_.size(), end - begin));
  for (Rest& rest : rests_) {
    for (; rest.next < rest.end; ++rest.next) {
      const Listed& listed = index_.listed_[rest.next];
      if (listed.set >= end) break;
      Shared& shared = shared_[listed.set - begin];
      if (shared.count++ == 0) touched_.push_back(listed.set);
      shared.rank = rest.rank;
      shared.other_rank = listed.rank;
    }
  }
}

// Of the sets that were counted those that may overlap enough with the one of
// `size` whose listed shingles end at `last_place`.
void ShingleIndex::Lookup::ListCandidates(int64_t size, int64_t last_place,
                                          int32_t begin) {
  candidates_.clear();
  for (const int32_t set : touched_) {
    const Shared shared = std::exchange(shared_[set - begin], {});
    const auto other = static_cast<int64_t>(index_.sets_[set].size());
    // All that two sets can share is the smaller one.
    if (std::min(size, other) < index_.LeastShared(std::max(size, other))) {
      continue;
    }
    // Behind the last that was counted, and behind all that are listed in both.
    const int64_t last = index_.last_places_[set];
    const int64_t behind_listed =
        index_.LeastShared(index_.IsRarer(last, last_place) ? other : size) - 1;
    const int64_t more = std::min(
        {size - shared.rank - 1, other - shared.other_rank - 1, behind_listed});
    // An overlap of t takes a share of t / (1 + t) of both sizes.
    const double least = index_.overlap_ / (1 + index_.overlap_) *
                         static_cast<double>(size + other);
    const auto most = static_cast<double>(shared.count + more);
    if (most >= least * (1 - kOverlapSlack)) candidates_.push_back(set);
  }
  touched_.clear();
  std::sort(candidates_.begin(), candidates_.end());
}

}  // namespace lory::corpus
