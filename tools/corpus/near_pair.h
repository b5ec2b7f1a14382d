#ifndef LORY_TOOLS_CORPUS_NEAR_PAIR_H_
#define LORY_TOOLS_CORPUS_NEAR_PAIR_H_

#include <cstdint>
#include <vector>

namespace lory::corpus {

// Two documents that say nearly the same.
struct NearPair {
  int32_t dropped = 0;
  int32_t kept = 0;
  double similarity = 0;  // cosine of their vectors
  double overlap = 0;     // of their shingles
};

// What is trained, or held out: numbers in the store. Their vectors are rows
// of a table, by the same numbers.
using NearSide = std::vector<int32_t>;

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_NEAR_PAIR_H_
