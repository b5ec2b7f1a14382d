#ifndef LORY_TOOLS_CORPUS_PACKED_ROWS_H_
#define LORY_TOOLS_CORPUS_PACKED_ROWS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tools/corpus/best_lists.h"
#include "tools/corpus/neighbor_options.h"
#include "tools/corpus/row_products.h"
#include "tools/corpus/row_set.h"

namespace lory::corpus {

// A set of rows that is searched, or searched for: what rounding does to each.
// Twenty bytes a row; the rows stay where they are. Immutable; thread-safe.
class MeasuredRows {
 public:
  // Reads all rows, on all cores. For the cosine products are as if every row
  // had unit length.
  MeasuredRows(const RowSet& rows, Metric metric);

  const RowSet& rows() const { return rows_; }
  int64_t count() const { return rows_.count(); }
  const RoundedRow& operator[](int64_t i) const { return rounded_[i]; }

  // Numbers of the rows with a length, and of those of zeros: these are as
  // similar to one row as to another and need no search.
  std::span<const int32_t> with_length() const { return with_length_; }
  std::span<const int32_t> zeros() const { return zeros_; }

  // What products with row i are divided by.
  double DivisorOf(int64_t i) const;

  // By how much a scaled product of row i with one of `others` may be off.
  std::vector<float> ErrorsAgainst(const MeasuredRows& others,
                                   std::span<const int32_t> numbers) const;

 private:
  const RowSet rows_;
  const Metric metric_;
  std::vector<RoundedRow> rounded_;
  std::vector<int32_t> with_length_;
  std::vector<int32_t> zeros_;
  double longest_ = 0;
  double most_lost_ = 0;
};

// Some rows in whole numbers, as Products takes them: `height` side by side,
// kPanelRows or kGroupRows.
class PackedRows {
 public:
  PackedRows(const MeasuredRows& rows, std::span<const int32_t> numbers,
             int height);
  // On all cores.
  static PackedRows InParallel(const MeasuredRows& rows,
                               std::span<const int32_t> numbers, int height);

  std::span<const int32_t> numbers() const { return numbers_; }
  int64_t count() const { return static_cast<int64_t>(numbers_.size()); }
  int64_t stacks() const { return (count() + height_ - 1) / height_; }
  int64_t pairs() const { return pairs_; }
  const int16_t* Stack(int64_t i) const {
    return values_.data() + i * pairs_ * 2 * height_;
  }
  // Of every row; 0 for those that fill the last stack.
  const float* scales() const { return scales_.data(); }

 private:
  PackedRows(std::span<const int32_t> numbers, int32_t dimensions, int height);
  void Fill(const MeasuredRows& rows, int64_t begin, int64_t end);

  int height_;
  int64_t pairs_;
  std::vector<int32_t> numbers_;
  std::vector<int16_t> values_;
  std::vector<float> scales_;
};

// Rows of a block of queries: together they stay in the second cache.
int64_t BlockRows(int32_t dimensions);

// Where the pairs of a scan are offered.
struct ScanTarget {
  BestLists* lists = nullptr;  // to the queries
  // Whether queries and members are numbers of one set: none meets itself.
  bool same_rows = false;
  // Whether a pair is offered to the member's list as well; none: never.
  std::function<bool(int32_t query, int32_t member)> offers_back;
};

// Offers pairs of one block of queries with panels of members. For one thread.
class PanelScan {
 public:
  // `queries` of height kGroupRows.
  PanelScan(const PackedRows& queries, const ScanTarget& target);

  // With the panel of `members`, which are of height kPanelRows.
  // `back`: offers_back is asked.
  void Scan(const PackedRows& members, int64_t panel, bool back);

 private:
  void OfferRow(int64_t row, const PackedRows& members, int64_t first_member,
                bool back);

  const PackedRows& queries_;
  const ScanTarget& target_;
  std::vector<int32_t> products_;
  std::vector<float> row_floors_;
  std::vector<uint16_t> masks_;
  float column_floors_[kPanelRows] = {};
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_PACKED_ROWS_H_
