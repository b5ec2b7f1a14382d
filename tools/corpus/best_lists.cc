#include "tools/corpus/best_lists.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace lory::corpus {
namespace {

bool IsBetter(const Neighbor& a, const Neighbor& b) {
  return a.similarity != b.similarity ? a.similarity > b.similarity
                                      : a.document < b.document;
}

}  // namespace

BestLists::BestLists(int32_t k, std::vector<float> errors, Weigh weigh)
    : k_(k),
      capacity_(2 * int64_t{k} + 12),
      errors_(std::move(errors)),
      weigh_(std::move(weigh)),
      entries_(static_cast<int64_t>(errors_.size()) * capacity_),
      counts_(errors_.size()),
      floors_(std::make_unique<std::atomic<float>[]>(errors_.size())) {
  for (size_t i = 0; i < errors_.size(); ++i) {
    floors_[i] = -std::numeric_limits<float>::infinity();
  }
}

void BestLists::Offer(int64_t row, int32_t other, float about) {
  MutexLock lock(&mutexes_[row % mutexes_.size()]);
  if (about < FloorOf(row)) return;
  if (counts_[row] == capacity_) {
    MakeRoom(row);
    if (about < FloorOf(row)) return;
  }
  entries_[row * capacity_ + counts_[row]++] = {other, about};
}

void BestLists::MakeRoom(int64_t row) {
  std::span<Neighbor> kept = Kept(row);
  std::nth_element(kept.begin(), kept.begin() + (k_ - 1), kept.end(), IsBetter);
  // The k best are better than this in truth ...
  float floor = kept[k_ - 1].similarity - 2 * errors_[row];
  // ... and who is below it, worse.
  auto end = std::remove_if(
      kept.begin(), kept.end(),
      [floor](const Neighbor& one) { return one.similarity < floor; });
  if (end - kept.begin() > capacity_ - k_ / 2 - 1) {
    // What lies behind the end are copies of what moved up.
    kept = kept.first(end - kept.begin());
    weigh_(row, kept);
    std::nth_element(kept.begin(), kept.begin() + (k_ - 1), kept.end(),
                     IsBetter);
    end = kept.begin() + k_;
    floor = kept[k_ - 1].similarity - errors_[row];
  }
  counts_[row] = static_cast<int32_t>(end - kept.begin());
  floors_[row].store(std::max(floor, FloorOf(row)), std::memory_order_relaxed);
}

void BestLists::Take(int64_t row, std::span<Neighbor> out) {
  MutexLock lock(&mutexes_[row % mutexes_.size()]);
  if (counts_[row] > k_) {  // fewer need to be weighed
    std::span<Neighbor> kept = Kept(row);
    std::nth_element(kept.begin(), kept.begin() + (k_ - 1), kept.end(),
                     IsBetter);
    const float floor = kept[k_ - 1].similarity - 2 * errors_[row];
    const auto end = std::remove_if(
        kept.begin(), kept.end(),
        [floor](const Neighbor& one) { return one.similarity < floor; });
    counts_[row] = static_cast<int32_t>(end - kept.begin());
  }
  std::span<Neighbor> kept = Kept(row);
  weigh_(row, kept);
  std::sort(kept.begin(), kept.end(), IsBetter);
  std::fill(out.begin(), out.end(), Neighbor{});
  std::copy_n(kept.begin(), std::min<int64_t>(k_, kept.size()), out.begin());
}

}  // namespace lory::corpus
