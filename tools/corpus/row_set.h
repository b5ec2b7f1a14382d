#ifndef LORY_TOOLS_CORPUS_ROW_SET_H_
#define LORY_TOOLS_CORPUS_ROW_SET_H_

#include <cstdint>
#include <span>

namespace lory::corpus {

// Rows of numbers, all of a table or some by their numbers, as views of what
// others own: a table of any size stays in its mapped file. Immutable;
// thread-safe.
class RowSet {
 public:
  // All rows of `table`.
  RowSet(std::span<const float> table, int32_t dimensions)
      : table_(table),
        dimensions_(dimensions),
        count_(static_cast<int64_t>(table.size()) / dimensions) {}

  // Row i is the one that `numbers` has at i.
  RowSet(std::span<const float> table, int32_t dimensions,
         std::span<const int32_t> numbers)
      : table_(table),
        dimensions_(dimensions),
        count_(static_cast<int64_t>(numbers.size())),
        numbers_(numbers.data()) {}

  // `count` rows from `first` on.
  RowSet Part(int64_t first, int64_t count) const {
    RowSet part = *this;
    part.count_ = count;
    if (numbers_ == nullptr) {
      part.table_ = table_.subspan(first * dimensions_, count * dimensions_);
    } else {
      part.numbers_ = numbers_ + first;
    }
    return part;
  }

  int64_t count() const { return count_; }
  int32_t dimensions() const { return dimensions_; }
  std::span<const float> table() const { return table_; }
  // Of row i in the table.
  int32_t NumberOf(int64_t i) const {
    return numbers_ == nullptr ? static_cast<int32_t>(i) : numbers_[i];
  }
  const float* Row(int64_t i) const {
    return table_.data() + int64_t{NumberOf(i)} * dimensions_;
  }

 private:
  std::span<const float> table_;
  int32_t dimensions_;
  int64_t count_;
  const int32_t* numbers_ = nullptr;  // none: all
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ROW_SET_H_
