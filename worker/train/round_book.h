#ifndef LORY_WORKER_TRAIN_ROUND_BOOK_H_
#define LORY_WORKER_TRAIN_ROUND_BOOK_H_

#include <cstdint>
#include <map>

#include "absl/status/status.h"
#include "lory/v1/worker.pb.h"

namespace lory::train {

// The rounds of one generation that a rank holds, and the one it trains. Pure
// data; thread-compatible.
class RoundBook {
 public:
  // `world_size` and `micro_batch_count` are what every round must fit.
  RoundBook(int world_size, int64_t micro_batch_count)
      : world_size_(world_size), micro_batch_count_(micro_batch_count) {}

  // Keeps a round the coordinator granted; one known or past is ignored.
  void Hold(const lory::v1::Round& round);

  // Newest round that this rank could begin once all others hold it; 0: none.
  int64_t newest_held() const;

  // Whether there is one to begin after the current.
  bool holds_next() const { return newest_held() > last_id_; }

  // The round being trained; null: none.
  const lory::v1::Round* current() const { return current_; }

  // After a decision: ends the current round when `step` is past it, and
  // begins the next when all ranks hold it. Sets `*began` if it did.
  //
  // INTERNAL: the round does not fit the step, the world or the grid, or one
  // was skipped: the coordinator broke the protocol.
  absl::Status Advance(int64_t step, int64_t common_round, bool* began);

 private:
  const int world_size_;
  const int64_t micro_batch_count_;
  std::map<int64_t, lory::v1::Round> held_;  // current and later
  const lory::v1::Round* current_ = nullptr;
  int64_t last_id_ = 0;  // of the current or last round; 0: none yet
};

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_ROUND_BOOK_H_
