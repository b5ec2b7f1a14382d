#include "worker/data/batch_loader.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/data/sample_digest.h"

namespace lory::data {
namespace {

int64_t SizeOf(const MicroBatchRange& range) {
  return std::max<int64_t>(0, range.end_step - range.first_step) * range.count;
}

}  // namespace

absl::StatusOr<MicroBatch> ReadMicroBatch(const Dataset& dataset,
                                          const BatchGrid& grid, int64_t step,
                                          int64_t index) {
  const int64_t length = dataset.manifest().sequence_length;
  const int64_t rows = grid.micro_batch_sequences;
  MicroBatch batch{.step = step, .index = index, .rows = rows};
  batch.tokens.reserve(rows * length);
  batch.targets.reserve(rows * length);
  std::vector<int64_t> sequence(length + 1);
  const int64_t first = (step * grid.micro_batch_count + index) * rows;
  std::optional<SequenceOrder> order;
  int64_t epoch = -1;
  for (int64_t row = 0; row < rows; ++row) {
    const SequencePosition place =
        PositionOf(first + row, dataset.sequence_count());
    if (place.epoch != epoch) {  // a micro-batch may cross an epoch's end
      epoch = place.epoch;
      order.emplace(grid.seed, epoch, dataset.sequence_count());
    }
    const int64_t at = order->At(place.position);
    LORY_RETURN_IF_ERROR(dataset.Read(at, sequence));
    batch.tokens.insert(batch.tokens.end(), sequence.begin(),
                        sequence.end() - 1);
    batch.targets.insert(batch.targets.end(), sequence.begin() + 1,
                         sequence.end());
    batch.fingerprint_sum += SampleFingerprint(epoch, at);
  }
  return batch;
}

BatchLoader::BatchLoader(const Dataset& dataset, const BatchGrid& grid,
                         int64_t prefetch)
    : dataset_(dataset),
      grid_(grid),
      prefetch_(prefetch),
      thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {
  LORY_CHECK(prefetch > 0);
}

void BatchLoader::Start(const MicroBatchRange& range) {
  MutexLock lock(&mutex_);
  range_ = range;
  ++range_number_;
  next_ = 0;
  taken_ = 0;
  queue_.clear();
  changed_.NotifyAll();
}

absl::StatusOr<std::optional<MicroBatch>> BatchLoader::Next() {
  MutexLock lock(&mutex_);
  if (taken_ == SizeOf(range_)) return std::optional<MicroBatch>();
  while (queue_.empty()) changed_.Wait(&mutex_);
  absl::StatusOr<MicroBatch> batch = std::move(queue_.front());
  queue_.pop_front();
  ++taken_;
  changed_.NotifyAll();
  if (!batch.ok()) return batch.status();
  return std::optional<MicroBatch>(*std::move(batch));
}

int64_t BatchLoader::held_count() {
  MutexLock lock(&mutex_);
  return static_cast<int64_t>(queue_.size());
}

bool BatchLoader::MayRead() const {
  return next_ < SizeOf(range_) &&
         static_cast<int64_t>(queue_.size()) < prefetch_;
}

void BatchLoader::Run(std::stop_token stop) {
  const std::stop_callback wake(stop, [this] {
    MutexLock lock(&mutex_);
    changed_.NotifyAll();
  });
  while (!stop.stop_requested()) {
    int64_t number, step, index;
    {
      MutexLock lock(&mutex_);
      while (!stop.stop_requested() && !MayRead()) changed_.Wait(&mutex_);
      if (stop.stop_requested()) return;
      number = range_number_;
      step = range_.first_step + next_ / range_.count;
      index = range_.first + next_ % range_.count;
      ++next_;
    }
    absl::StatusOr<MicroBatch> batch =
        ReadMicroBatch(dataset_, grid_, step, index);
    MutexLock lock(&mutex_);
    if (number != range_number_) continue;  // a newer range began meanwhile
    queue_.push_back(std::move(batch));
    changed_.NotifyAll();
  }
}

}  // namespace lory::data
