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
  for (int64_t i = 0; i < sets_.count(); ++i) {
    for (const int64_t place : PrefixOf(sets_[i])) ++list_begins_[place + 1];
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
    for (const int64_t place : PrefixOf(sets_[i])) {
      listed_[--list_begins_[place]] = static_cast<int32_t>(i);
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

std::vector<int64_t> ShingleIndex::PrefixOf(
    std::span<const uint64_t> shingles) const {
  if (shingles.empty()) return {};
  // By how many sets have it; of equal ones all sets take the same first.
  std::vector<std::pair<int32_t, int64_t>> by_rarity;
  size_t unknown = 0;  // the rarest of all
  for (const uint64_t shingle : shingles) {
    const int64_t place = PlaceOf(shingle);
    if (place < 0) {
      ++unknown;
    } else {
      by_rarity.emplace_back(sets_with_[place], place);
    }
  }
  // Another set that overlaps enough has this many of them.
  const auto shared = static_cast<size_t>(std::ceil(
      overlap_ * static_cast<double>(shingles.size()) - kOverlapSlack));
  const size_t size = shingles.size() - std::max<size_t>(shared, 1) + 1;
  const size_t known =
      std::min(size - std::min(size, unknown), by_rarity.size());
  std::nth_element(by_rarity.begin(),
                   by_rarity.begin() + static_cast<int64_t>(known),
                   by_rarity.end());
  std::vector<int64_t> prefix;
  for (size_t i = 0; i < known; ++i) prefix.push_back(by_rarity[i].second);
  return prefix;
}

ShingleIndex::Match ShingleIndex::Lookup::First(
    std::span<const uint64_t> shingles) {
  return First(shingles, [](int32_t) { return true; });
}

ShingleIndex::Match ShingleIndex::Lookup::First(
    std::span<const uint64_t> shingles,
    const std::function<bool(int32_t)>& accepts) {
  Match best;
  const auto size = static_cast<double>(shingles.size());
  for (const int64_t place : index_.PrefixOf(shingles)) {
    for (int32_t i = index_.list_begins_[place];
         i < index_.list_begins_[place + 1]; ++i) {
      const int32_t set = index_.listed_[i];
      if (best.set >= 0 && set >= best.set) break;  // lists ascend
      if (is_seen_[set]) continue;
      is_seen_[set] = true;
      seen_.push_back(set);
      // All that two sets can share is the smaller one.
      const auto other = static_cast<double>(index_.sets_[set].size());
      if (std::min(size, other) / std::max(size, other) < index_.overlap_) {
        continue;
      }
      if (!accepts(set)) continue;
      ++compared_;
      const double overlap = Overlap(shingles, index_.sets_[set]);
      if (overlap < index_.overlap_) continue;
      best = {set, overlap};
      break;
    }
  }
  for (const int32_t set : seen_) is_seen_[set] = false;
  seen_.clear();
  return best;
}

}  // namespace lory::corpus
