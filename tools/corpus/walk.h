#ifndef LORY_TOOLS_CORPUS_WALK_H_
#define LORY_TOOLS_CORPUS_WALK_H_

#include <cstdint>
#include <span>
#include <vector>

#include "tools/corpus/neighbor.h"

// Orders of documents that put neighbours side by side. Pure; one thread.
namespace lory::corpus {

struct Walk {
  std::vector<int32_t> order;
  // Where in `order` each chain begins: the first, and every one after a jump
  // to a document that the one before has no joint with.
  std::vector<int32_t> chain_begins;

  int64_t jumps() const {
    return chain_begins.empty() ? 0
                                : static_cast<int64_t>(chain_begins.size()) - 1;
  }
};

// The greedy walk of In-Context Pretraining (Shi and others, ICLR 2024),
// section 2.2.
//
// Visits every document that is not `dropped` once. Two documents are joined
// if either is among the other's neighbours. The walk starts at the document
// with the fewest joints, goes on to the most similar unvisited joined one
// (of equals the smaller number) and, where there is none, starts again at the
// unvisited document with the fewest joints: those would be the first to find
// all their neighbours taken. Degrees are those of the whole graph; among
// equal ones `seed` decides.
//
// `neighbors` has k entries a document, best first, and of each pair one
// similarity, whichever of the two lists it. Takes some 90 bytes a document at
// k = 10 beside it, where those listed are spread evenly over the numbers of
// documents; 12 k more at worst, where all are of one quarter.
Walk WalkSimilar(std::span<const Neighbor> neighbors, int32_t k,
                 std::span<const uint8_t> dropped, uint64_t seed);

// The same in the graph as it is: from a document only to its own neighbours,
// and starts are those that the fewest list.
Walk WalkDirected(std::span<const Neighbor> neighbors, int32_t k,
                  std::span<const uint8_t> dropped, uint64_t seed);

// Neighbours of a document that WalkAsReleased looks at.
inline constexpr int32_t kReleasedNearest = 9;

// What the released code of that paper does instead (its sort.py), but for
// what crashes there and for its filter of equal beginnings. From the first
// unvisited document the walk goes on to the first unvisited of the nine
// nearest (one way only) and starts again after 21 documents at the latest.
// Then every document of a shorter chain moves in front of the nearest of
// those nine that is in another chain; one that has none stays.
Walk WalkAsReleased(std::span<const Neighbor> neighbors, int32_t k,
                    std::span<const uint8_t> dropped);

// The documents that are not dropped in random order, a chain each.
Walk WalkRandomly(std::span<const uint8_t> dropped, uint64_t seed);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_WALK_H_
