#ifndef LORY_WORKER_TRAIN_CONTROL_BOARD_H_
#define LORY_WORKER_TRAIN_CONTROL_BOARD_H_

#include <cstdint>
#include <deque>
#include <functional>

#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "lory/internal/v1/trainer.pb.h"
#include "lory/v1/worker.pb.h"

namespace lory::train {

// Where the thread that trains and the thread that speaks with the daemon meet.
// Orders hang on it, the newest only; so does the trainer's status. Neither
// side waits for the other. Thread-safe.
class ControlBoard {
 public:
  // `status` says who the trainer is; see TrainerStatus.
  explicit ControlBoard(lory::v1::TrainerStatus status)
      : status_(std::move(status)) {}

  // ---- The side of the daemon ----

  // Replaces the order. One that says PREPARE a newer generation, urgently,
  // also ends what SetAbort was given.
  void Post(lory::internal::v1::TrainerOrder order);

  // The status once it has changed since `*seen`, or when `limit` has passed;
  // sets `*seen`. Of the parts written so far it has those after the first
  // `*parts_seen`, the newest kPartsKept at most.
  lory::internal::v1::TrainerReport AwaitReport(int64_t* seen,
                                                int64_t* parts_seen,
                                                absl::Duration limit);

  // More than these never wait for a commit: each step has one, and only the
  // newest matter.
  static constexpr size_t kPartsKept = 64;

  // Tells the trainer to end: every wait returns at once.
  void Close();

  // ---- The side of training ----

  struct Order {
    int64_t number = 0;  // 0: none has come yet
    lory::internal::v1::TrainerOrder order;
    const lory::v1::Assignment& assignment() const {
      return order.assignment();
    }
  };

  // The newest order.
  Order Newest();
  // Number of the newest order, without copying it.
  int64_t newest_number();
  // Blocks until there is an order after number `seen`, the board is closed, or
  // `limit` has passed; counts as progress.
  void AwaitNews(int64_t seen, absl::Duration limit);
  bool closed();
  // Whether a member of `generation` must give up whatever it does: a peer is
  // gone, or the board is closed.
  bool MustGiveUp(int64_t generation);

  // Changes the status; it is sent as a whole.
  void Report(const std::function<void(lory::v1::TrainerStatus&)>& change);
  void AddWrittenPart(const lory::v1::CommitCheckpointRequest& part);
  // The trainer gets on; see TrainerReport.progress_counter.
  void Progress();

  // `abort` ends the collectives of `generation`; called at most once, on
  // another thread, and at once when the order for it is there already. Null:
  // there is nothing to end any more.
  void SetAbort(int64_t generation, std::function<void()> abort);

 private:
  bool IsUrgentAfter(int64_t generation) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AbortIfUrgent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar changed_;
  lory::v1::TrainerStatus status_ ABSL_GUARDED_BY(mutex_);
  int64_t status_number_ ABSL_GUARDED_BY(mutex_) = 1;
  int64_t progress_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<lory::v1::CommitCheckpointRequest> parts_ ABSL_GUARDED_BY(mutex_);
  int64_t parts_end_ ABSL_GUARDED_BY(mutex_) = 0;  // number after the last
  Order newest_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<void()> abort_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_CONTROL_BOARD_H_
