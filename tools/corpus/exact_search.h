#ifndef LORY_TOOLS_CORPUS_EXACT_SEARCH_H_
#define LORY_TOOLS_CORPUS_EXACT_SEARCH_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tools/corpus/best_lists.h"
#include "tools/corpus/neighbor.h"
#include "tools/corpus/neighbor_options.h"
#include "tools/corpus/packed_rows.h"
#include "tools/corpus/row_set.h"

// The most similar rows, exactly: equal to a naive double loop over Similarity
// (over the lengths of both, for the cosine) rounded to a float, of equal ones
// the smaller number first, for any number of threads. All cores; blocks until
// done.
namespace lory::corpus {

struct SearchLimits {
  // Of packed rows at a time; what is larger is taken in parts.
  int64_t packed_bytes = int64_t{1} << 30;
  Metric metric = Metric::kInnerProduct;
  // Of SearchFor: false ranks by the products of rounded rows, which are as
  // much the same for any number of threads, and tells those.
  bool exact = true;
};

// Told how many more rows are done, on any thread.
using RowsDone = std::function<void(int64_t rows)>;
// Told the lists of consecutive rows, in order.
using TakeLists = std::function<void(std::span<const Neighbor> lists)>;

// What BestLists weighs with: similarities of rows of `queries` with `rows`,
// both of one metric.
BestLists::Weigh WeighExactly(const MeasuredRows& queries,
                              const MeasuredRows& rows);

// Offers each query what a search without zeros leaves out: to a row of zeros
// the first rows, to another the first of zeros, k at most. As exact as a scan
// of them all would be. `same_rows`: of one set, none is offered itself.
void OfferZeros(const MeasuredRows& queries, const MeasuredRows& rows,
                bool same_rows, int32_t k, BestLists& lists);

// Hands over all lists, k places a row, some thousand rows at a time.
void TakeAll(BestLists& lists, int64_t rows, int32_t k, const TakeLists& take);

// The k nearest others of every row. Each pair is multiplied once.
void SearchAll(const RowSet& rows, int32_t k, const SearchLimits& limits,
               const RowsDone& done, const TakeLists& take);

// The k nearest rows of every query: k places each, -1 where there are fewer.
std::vector<Neighbor> SearchFor(
    const RowSet& queries, const RowSet& rows, int32_t k,
    const SearchLimits& limits = {}, const RowsDone& done = [](int64_t) {});

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_EXACT_SEARCH_H_
