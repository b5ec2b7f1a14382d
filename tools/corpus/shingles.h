#ifndef LORY_TOOLS_CORPUS_SHINGLES_H_
#define LORY_TOOLS_CORPUS_SHINGLES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/strings/string_view.h"

// How much of two texts is the same, word for word (Broder, 1997). Pure.
namespace lory::corpus {

// Words that make one shingle.
inline constexpr int kShingleWords = 5;

// Hashes of the runs of kShingleWords words of `text`, sorted, each once; of a
// shorter text the one run it is. Words as in WordHashesOf; none: empty.
std::vector<uint64_t> ShinglesOf(absl::string_view text);

// Shared shingles over all shingles, from 0 to 1; of two empty sets 0:
// texts without a word share none.
double Overlap(std::span<const uint64_t> a, std::span<const uint64_t> b);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_SHINGLES_H_
