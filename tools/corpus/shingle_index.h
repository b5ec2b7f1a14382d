#ifndef LORY_TOOLS_CORPUS_SHINGLE_INDEX_H_
#define LORY_TOOLS_CORPUS_SHINGLE_INDEX_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace lory::corpus {

// Finds those of many sets of shingles that overlap much with another set,
// without looking at the rest. Exact: two sets that share enough also share one
// of their rarest shingles, and only those are listed (prefix filtering;
// Bayardo, Ma and Srikant, 2007). Immutable; thread-safe.
class ShingleIndex {
 public:
  // `sets` as ShinglesOf gives them; `overlap` above 0.
  ShingleIndex(std::vector<std::vector<uint64_t>> sets, double overlap);

  // Sets, by number and each once, among which all are that overlap with
  // `shingles` by at least `overlap`; seldom others.
  std::vector<int32_t> CandidatesFor(
      const std::vector<uint64_t>& shingles) const;

  const std::vector<uint64_t>& set(int32_t number) const {
    return sets_[number];
  }

 private:
  // The rarest shingles of a set: as many as two sets cannot all miss.
  std::vector<uint64_t> PrefixOf(const std::vector<uint64_t>& shingles) const;

  const std::vector<std::vector<uint64_t>> sets_;
  const double overlap_;
  absl::flat_hash_map<uint64_t, int32_t> sets_with_;  // by shingle
  absl::flat_hash_map<uint64_t, std::vector<int32_t>> listed_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_SHINGLE_INDEX_H_
