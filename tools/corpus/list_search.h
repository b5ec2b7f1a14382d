#ifndef LORY_TOOLS_CORPUS_LIST_SEARCH_H_
#define LORY_TOOLS_CORPUS_LIST_SEARCH_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tools/corpus/exact_search.h"
#include "tools/corpus/neighbor.h"
#include "tools/corpus/neighbor_options.h"
#include "tools/corpus/row_set.h"

// Search by an inverted file, for more rows than each can be compared with
// each: rows lie in lists by the nearest of some middles, and meet those of the
// lists whose middles are nearest to them, their probes. A pair counts for
// both, whoever looked.
namespace lory::corpus {

// What became of a search.
struct SearchReport {
  int64_t lists = 0;  // 0: exact, all rows were compared
  int64_t probes = 0;
  double recall = 1;  // of the k nearest, on the sample
};

// Rows by chance of their place, evenly, and their k nearest in truth.
struct RecallSample {
  std::vector<int32_t> rows;
  std::vector<Neighbor> nearest;  // k a row
};
RecallSample TakeSample(const RowSet& rows, const NeighborOptions& options);

// The lists of a corpus of this size: four times the root.
int64_t ListsFor(int64_t rows);

// The fewest probes, of 1, 2, 3, 4, 6, 8, 12 and so on, with which a search
// finds the wanted share of the sample's neighbours; where none does, the most
// that are tried: 256, or all lists if they are fewer.
int64_t ProbesFor(const RowSet& rows, const RowSet& middles,
                  const RecallSample& sample, const NeighborOptions& options);

// Tells the k nearest others of every row among those of its lists.
void SearchLists(const RowSet& rows, const RowSet& middles, int64_t probes,
                 const NeighborOptions& options, const RowsDone& done,
                 const TakeLists& take);

// The nearest others of every row as `options` want them.
SearchReport SearchNeighbors(const RowSet& rows, const NeighborOptions& options,
                             const RowsDone& done, const TakeLists& take);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_LIST_SEARCH_H_
