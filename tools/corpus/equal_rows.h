#ifndef LORY_TOOLS_CORPUS_EQUAL_ROWS_H_
#define LORY_TOOLS_CORPUS_EQUAL_ROWS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "tools/corpus/exact_search.h"
#include "tools/corpus/neighbor.h"
#include "tools/corpus/neighbor_options.h"
#include "tools/corpus/row_set.h"

namespace lory::corpus {

// Groups of rows of the same numbers, bit for bit: what is searched for one of
// them holds for all, so that a search need not weigh thousands of copies one
// by one. Up to 48 bytes a row where any two are equal; none where all differ.
// Immutable; thread-safe.
class EqualRows {
 public:
  // Reads all rows, on all cores. The table of `rows` lives longer.
  explicit EqualRows(const RowSet& rows);

  // Whether any two are equal; if not, nothing else may be asked.
  bool any() const { return !group_of_.empty(); }

  int64_t row_count() const { return rows_.count(); }
  // One of each group, the first, in their order.
  RowSet Distinct() const;
  int64_t group_count() const {
    return static_cast<int64_t>(begins_.size()) - 1;
  }
  int32_t GroupOf(int64_t row) const { return group_of_[row]; }
  // In order.
  std::span<const int32_t> RowsOf(int64_t group) const {
    return std::span(members_).subspan(begins_[group],
                                       begins_[group + 1] - begins_[group]);
  }

 private:
  const RowSet rows_;
  std::vector<int32_t> group_of_;  // by row
  std::vector<int32_t> members_;   // rows, by group
  std::vector<int32_t> begins_;    // of groups in members_, and the end
  std::vector<int32_t> firsts_;    // rows, as the table of `rows_` numbers them
};

// Makes the lists of all rows out of those of the distinct ones: the same as a
// search among all would give, if theirs are exact. Holds lists of rows that
// have copies, 8 k bytes each. Thread-compatible.
class EqualRowLists {
 public:
  // `k` places a list. What is given lives longer; rows of lists come in order.
  EqualRowLists(const EqualRows& equal, Metric metric, int32_t k,
                const TakeLists& take);

  // Lists of the next distinct rows.
  void Take(std::span<const Neighbor> lists);

 private:
  std::vector<Neighbor> ListOf(int64_t row,
                               std::span<const Neighbor> of_group) const;

  const EqualRows& equal_;
  const RowSet distinct_;
  const Metric metric_;
  const int32_t k_;
  const TakeLists& take_;
  int64_t next_row_ = 0;
  int64_t next_group_ = 0;
  std::vector<std::vector<Neighbor>> kept_;  // by group, if it has copies
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_EQUAL_ROWS_H_
