#ifndef LORY_WORKER_TRAIN_JOB_CONTEXT_H_
#define LORY_WORKER_TRAIN_JOB_CONTEXT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/data/dataset.h"
#include "lory/v1/worker.pb.h"
#include "worker/data/batch_loader.h"
#include "worker/data/dataset_check.h"
#include "worker/train/evaluator.h"
#include "worker/train/line_file.h"

namespace lory::train {

// What a trainer opens once for its job and keeps through all generations.
struct JobContext {
  std::string job;     // jobs/{job}
  std::string folder;  // on shared storage
  lory::v1::JobSpec spec;
  int32_t nonfinite_step_limit = 0;
  std::string manifest_path;  // the dataset's
  std::unique_ptr<lory::data::Dataset> dataset;
  // Files that this trainer found sound; see docs/formats.md.
  std::unique_ptr<LineFile> verified;
  std::unique_ptr<lory::data::DatasetCheck> check;
  lory::data::BatchGrid grid;
  std::unique_ptr<lory::data::BatchLoader> loader;
  std::unique_ptr<Evaluator> evaluator;
  std::unique_ptr<LineFile> trace;
  // Written by rank 0; open everywhere, since any rank may become it.
  std::unique_ptr<LineFile> step_metrics;
  std::unique_ptr<LineFile> evaluation_metrics;
};

// A dataset of this size is hashed in half a second.
inline constexpr int64_t kCheckFirstBytes = 256 << 20;

// Opens what `assignment` names, and checks that spec and data fit together.
// `trace_name` is this trainer's: "<worker>-<slot>".
//
// The hashes of a dataset of at most `check_first_bytes` are checked before
// this returns; a larger one would keep a trainer waiting for minutes or hours,
// so its check goes on in the background, CheckData says what it has found so
// far, and no job ends well before it has ended. `progress` is called while it
// waits and the check gets on.
//
// FAILED_PRECONDITION: the dataset is not there, not the one that was
// registered, or its tokenizer or length are not the model's. DATA_LOSS: its
// files are damaged. INVALID_ARGUMENT: the spec. UNIMPLEMENTED: it asks for
// what this release does not do. PERMISSION_DENIED: files. Each says what
// mends it.
absl::StatusOr<std::unique_ptr<JobContext>> OpenJob(
    const lory::v1::Assignment& assignment, const std::string& trace_name,
    int64_t check_first_bytes, const std::function<void()>& progress);

// OK while nothing is known to be wrong with the dataset's files; DATA_LOSS
// names the file and what mends it.
absl::Status CheckData(JobContext& job);

// What to tell of an error that training met: one of the dataset gets what
// mends it, and keeps its reason only when the files are as they were built, so
// that no host is at fault. Others stay as they are.
absl::Status ExplainError(JobContext& job, const absl::Status& status);

// Writes the lines that wait for a full disk. Whether none does any more.
bool FlushLines(JobContext& job);

// Whether an error would come again on any other worker, so that the job fails
// with it.
bool IsPermanent(const absl::Status& status);

// Whether the job or its dataset is at fault, and surely no host.
bool IsOfJob(const absl::Status& status);

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_JOB_CONTEXT_H_
