#include "tools/corpus/shingle_index.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lory::corpus {
namespace {

// Of what is rounded; a little lower lists a little more.
constexpr double kOverlapSlack = 1e-9;

}  // namespace

ShingleIndex::ShingleIndex(std::vector<std::vector<uint64_t>> sets,
                           double overlap)
    : sets_(std::move(sets)), overlap_(overlap) {
  for (const std::vector<uint64_t>& set : sets_) {
    for (const uint64_t shingle : set) ++sets_with_[shingle];
  }
  for (size_t i = 0; i < sets_.size(); ++i) {
    for (const uint64_t shingle : PrefixOf(sets_[i])) {
      listed_[shingle].push_back(static_cast<int32_t>(i));
    }
  }
}

std::vector<uint64_t> ShingleIndex::PrefixOf(
    const std::vector<uint64_t>& shingles) const {
  if (shingles.empty()) return {};
  std::vector<std::pair<int32_t, uint64_t>> by_rarity;
  by_rarity.reserve(shingles.size());
  for (const uint64_t shingle : shingles) {
    const auto found = sets_with_.find(shingle);
    by_rarity.emplace_back(found == sets_with_.end() ? 0 : found->second,
                           shingle);
  }
  std::sort(by_rarity.begin(), by_rarity.end());
  // Another set that overlaps enough has this many of them.
  const auto shared = static_cast<size_t>(std::ceil(
      overlap_ * static_cast<double>(shingles.size()) - kOverlapSlack));
  const size_t prefix_size = shingles.size() - std::max<size_t>(shared, 1) + 1;
  by_rarity.resize(std::min(prefix_size, shingles.size()));
  std::vector<uint64_t> prefix;
  for (const auto& [count, shingle] : by_rarity) prefix.push_back(shingle);
  return prefix;
}

std::vector<int32_t> ShingleIndex::CandidatesFor(
    const std::vector<uint64_t>& shingles) const {
  std::vector<int32_t> candidates;
  for (const uint64_t shingle : PrefixOf(shingles)) {
    const auto found = listed_.find(shingle);
    if (found == listed_.end()) continue;
    candidates.insert(candidates.end(), found->second.begin(),
                      found->second.end());
  }
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()),
                   candidates.end());
  return candidates;
}

}  // namespace lory::corpus
