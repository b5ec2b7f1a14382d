#ifndef LORY_WORKER_CHECKPOINT_CHECKPOINT_WRITER_H_
#define LORY_WORKER_CHECKPOINT_CHECKPOINT_WRITER_H_

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/io/storage.h"
#include "lory/v1/worker.pb.h"
#include "worker/checkpoint/snapshot.h"
#include "worker/model/parameter_store.h"

namespace lory::checkpoint {

// What a part is of.
struct PartIdentity {
  std::string job;         // jobs/{job}
  std::string job_folder;  // checkpoints/ lies in it
  int64_t step = 0;
  int64_t generation = 0;
  int index = 0;
  int count = 1;
  std::string sample_digest;                    // 32 bytes
  std::map<std::string, std::string> metadata;  // further entries
};

// Writes one rank's part of a state: all tensors are named by every rank, the
// rank's share of them goes to disk. File by temporary name, sync, rename;
// then it is read back and its SHA-256 compared. Blocks.
//
// RESOURCE_EXHAUSTED: disk full. DATA_LOSS: what was read back differs.
absl::StatusOr<lory::v1::CommitCheckpointRequest> WritePart(
    lory::io::Storage& storage, const PartIdentity& identity,
    const Snapshot& snapshot);

// Takes snapshots and writes them in a thread of its own, one at a time.
// Thread-compatible.
class CheckpointWriter {
 public:
  // Called on the writer's thread with every part written, or with why not.
  using Done = std::function<void(
      const PartIdentity&,
      const absl::StatusOr<lory::v1::CommitCheckpointRequest>&)>;

  // `storage` must outlive the writer.
  CheckpointWriter(lory::io::Storage& storage, Done done);

  // Copies this rank's share of `tensors` (all of the state, the same on all
  // ranks) and begins to write it. Blocks for as long as the one before is
  // being written: ask WaitUntilIdle first.
  absl::Status Begin(PartIdentity identity,
                     const lory::model::NamedTensors& tensors);

  // Waits at most `limit`, or not at all, until nothing is being written.
  // Whether so.
  bool WaitUntilIdle(absl::Duration limit);

  // How the last part went; OK before the first.
  absl::Status last_result();

  // Removes files, in the background. Only such whose path begins with
  // `job_folder`/checkpoints/ and has no "..", others are logged and left.
  void Delete(const std::string& job_folder,
              const std::vector<std::string>& paths);

 private:
  void Run(std::stop_token stop);

  lory::io::Storage& storage_;
  const Done done_;
  // Touched by the caller while idle, by the thread while busy.
  Snapshot snapshot_;

  Mutex mutex_;
  CondVar changed_;
  std::optional<PartIdentity> busy_ ABSL_GUARDED_BY(mutex_);
  absl::Status last_result_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> to_delete_ ABSL_GUARDED_BY(mutex_);

  std::jthread thread_;  // last: ends before what it uses
};

// This rank's share of `tensors`: whole ones, and rows of those too large for
// one part, named by data::RowsName. They share memory with `tensors`.
lory::model::NamedTensors ShareOf(const lory::model::NamedTensors& tensors,
                                  int index, int count);

}  // namespace lory::checkpoint

#endif  // LORY_WORKER_CHECKPOINT_CHECKPOINT_WRITER_H_
