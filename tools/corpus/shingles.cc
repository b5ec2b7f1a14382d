#include "tools/corpus/shingles.h"

#include <algorithm>

#include "common/base/hash.h"
#include "tools/corpus/words.h"

namespace lory::corpus {

std::vector<uint64_t> ShinglesOf(absl::string_view text) {
  const std::vector<uint64_t> words = WordHashesOf(text);
  const size_t length = std::min<size_t>(kShingleWords, words.size());
  std::vector<uint64_t> shingles;
  if (length == 0) return shingles;
  for (size_t i = 0; i + length <= words.size(); ++i) {
    shingles.push_back(FastHash64(words.data() + i, length * sizeof(words[0])));
  }
  std::sort(shingles.begin(), shingles.end());
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
  return shingles;
}

double Overlap(std::span<const uint64_t> a, std::span<const uint64_t> b) {
  size_t shared = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j]) ++shared;
    const bool step_a = a[i] <= b[j];
    const bool step_b = b[j] <= a[i];
    i += step_a;
    j += step_b;
  }
  const size_t all = a.size() + b.size() - shared;
  return all == 0 ? 0 : static_cast<double>(shared) / static_cast<double>(all);
}

}  // namespace lory::corpus
