#ifndef LORY_TOOLS_CORPUS_WALK_H_
#define LORY_TOOLS_CORPUS_WALK_H_

#include <cstdint>
#include <span>
#include <vector>

#include "tools/corpus/neighbors.h"

// The order of documents that puts neighbours side by side: the greedy walk of
// In-Context Pretraining (Shi and others, ICLR 2024), section 2.2. Pure.
namespace lory::corpus {

struct Walk {
  std::vector<int32_t> order;
  int64_t jumps = 0;  // times it was stuck and started elsewhere
};

// Visits every document that is not `dropped` once. Two documents are joined
// if either is among the other's neighbours. The walk starts at the document
// with the fewest joints, goes on to the most similar unvisited joined one
// (of equals the smaller number) and, where there is none, starts again at the
// unvisited document with the fewest joints: those would be the first to find
// all their neighbours taken. Degrees are those of the whole graph; among
// equal ones `seed` decides.
Walk WalkSimilar(std::span<const Neighbor> neighbors, int32_t k,
                 std::span<const uint8_t> dropped, uint64_t seed);

// The documents that are not dropped in random order.
Walk WalkRandomly(std::span<const uint8_t> dropped, uint64_t seed);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_WALK_H_
