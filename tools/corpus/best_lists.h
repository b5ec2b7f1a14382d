#ifndef LORY_TOOLS_CORPUS_BEST_LISTS_H_
#define LORY_TOOLS_CORPUS_BEST_LISTS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/base/mutex.h"
#include "tools/corpus/neighbor.h"

namespace lory::corpus {

// The k most similar of what was offered to each row, of equal ones the smaller
// numbers. Offers come with similarities that are off by as much as the row's
// error; whoever may be among the k in truth is kept, in 16 k + 96 bytes a row,
// and weighed exactly at the end, or before if too many are alike. So the
// answer does not depend on the order of offers. Thread-safe.
class BestLists {
 public:
  // Similarities of `row` and each of `others`, exactly.
  using Weigh = std::function<void(int64_t row, std::span<Neighbor> others)>;

  // An error a row, which no offer's similarity is off by more than.
  BestLists(int32_t k, std::vector<float> errors, Weigh weigh);

  // An offer below it cannot be among the row's k.
  float FloorOf(int64_t row) const {
    return floors_[row].load(std::memory_order_relaxed);
  }
  // Each other document at most once.
  void Offer(int64_t row, int32_t other, float about);

  // The row's list, best first, in `out`'s k places; offers have ended.
  void Take(int64_t row, std::span<Neighbor> out);

 private:
  std::span<Neighbor> Kept(int64_t row) {
    return std::span(entries_).subspan(row * capacity_, counts_[row]);
  }
  void MakeRoom(int64_t row);

  const int64_t k_;
  const int64_t capacity_;
  const std::vector<float> errors_;
  const Weigh weigh_;
  std::vector<Neighbor> entries_;
  std::vector<int32_t> counts_;
  std::unique_ptr<std::atomic<float>[]> floors_;
  std::array<Mutex, 1024> mutexes_;  // of rows by their last bits
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_BEST_LISTS_H_
