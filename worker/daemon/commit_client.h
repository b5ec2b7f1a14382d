#ifndef LORY_WORKER_DAEMON_COMMIT_CLIENT_H_
#define LORY_WORKER_DAEMON_COMMIT_CLIENT_H_

#include <deque>
#include <functional>
#include <stop_token>
#include <string>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "lory/v1/worker.grpc.pb.h"

namespace lory::daemon {

// What became of a part; the label of a metric.
enum class PartFate { kCommitted, kDeleted, kFenced, kRefused };
absl::string_view NameOf(PartFate fate);

// Tells the coordinator of checkpoint parts until it has decided on each: the
// part is then COMMITTED, DELETED, fenced off or refused. Thread-safe.
class CommitClient {
 public:
  struct Part {
    std::string incarnation;  // who wrote it
    std::string path;         // where
    lory::v1::CommitCheckpointRequest request;
  };

  // `decided` hears of each part once, in the thread of Run. Parts that are
  // not decided on are asked about again after `interval`.
  CommitClient(lory::v1::WorkerService::StubInterface& coordinator,
               Clock& clock, absl::Duration interval,
               std::function<void(const Part&, PartFate)> decided);

  // One that is waiting already is not taken twice.
  void Add(Part part);

  // Asks about each part at once and then again and again, until `stop` is
  // requested.
  void Run(std::stop_token stop);

 private:
  struct Waiting {
    Part part;
    absl::Time next_time;
  };

  // Asks once; true: decided.
  bool Ask(const Part& part);
  // Blocks until a part is due; nothing: `stop` was requested.
  bool TakeDue(std::stop_token stop, Part* part);

  lory::v1::WorkerService::StubInterface& coordinator_;
  Clock& clock_;
  const absl::Duration interval_;
  const std::function<void(const Part&, PartFate)> decided_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_COMMIT_CLIENT_H_
