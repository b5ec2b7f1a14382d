#ifndef LORY_WORKER_DATA_BATCH_LOADER_H_
#define LORY_WORKER_DATA_BATCH_LOADER_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/data/dataset.h"
#include "common/data/sequence_order.h"

namespace lory::data {

// The grid a job cuts its data into; the same on all ranks.
struct BatchGrid {
  uint64_t seed = 0;
  int64_t micro_batch_count = 0;      // of a step
  int64_t micro_batch_sequences = 0;  // of a micro-batch
};

// What a rank trains of a lease: in each step of [first_step, end_step) the
// micro-batches [first, first + count).
struct MicroBatchRange {
  int64_t first_step = 0;
  int64_t end_step = 0;
  int64_t first = 0;
  int64_t count = 0;
};

// One micro-batch, rows of L tokens one behind the other.
struct MicroBatch {
  int64_t step = 0;
  int64_t index = 0;
  int64_t rows = 0;
  std::vector<int64_t> tokens;   // rows x L
  std::vector<int64_t> targets;  // the same, one token later
  // Of the sequences that were really read; see common/data/sample_digest.h.
  uint64_t fingerprint_sum = 0;
};

// Reads one micro-batch, in the order that grid and dataset alone decide.
// DATA_LOSS as Dataset::Read.
absl::StatusOr<MicroBatch> ReadMicroBatch(const Dataset& dataset,
                                          const BatchGrid& grid, int64_t step,
                                          int64_t index);

// Micro-batches of a range, read ahead by a thread of its own that holds at
// most `prefetch` of them. Thread-compatible; one caller.
class BatchLoader {
 public:
  // `dataset` must outlive the loader.
  BatchLoader(const Dataset& dataset, const BatchGrid& grid, int64_t prefetch);

  // Forgets what was read ahead and begins with the first of `range`.
  void Start(const MicroBatchRange& range);

  // The next one: by step, then by index. Blocks for the disk only. Empty
  // when the range is at its end, or none was started. Errors as those of
  // ReadMicroBatch; what follows can still be asked for.
  absl::StatusOr<std::optional<MicroBatch>> Next();

  // Micro-batches held now, for tests.
  int64_t held_count();

 private:
  void Run(std::stop_token stop);
  // Whether the thread has something to read and room for it.
  bool MayRead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Dataset& dataset_;
  const BatchGrid grid_;
  const int64_t prefetch_;

  Mutex mutex_;
  CondVar changed_;
  MicroBatchRange range_ ABSL_GUARDED_BY(mutex_);
  // Number of Start calls: what was read for an older range is thrown away.
  int64_t range_number_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t next_ ABSL_GUARDED_BY(mutex_) = 0;   // read next, within the range
  int64_t taken_ ABSL_GUARDED_BY(mutex_) = 0;  // handed out
  std::deque<absl::StatusOr<MicroBatch>> queue_ ABSL_GUARDED_BY(mutex_);

  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace lory::data

#endif  // LORY_WORKER_DATA_BATCH_LOADER_H_
