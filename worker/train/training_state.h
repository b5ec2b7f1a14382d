#ifndef LORY_WORKER_TRAIN_TRAINING_STATE_H_
#define LORY_WORKER_TRAIN_TRAINING_STATE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lory/v1/job.pb.h"
#include "worker/checkpoint/checkpoint_reader.h"
#include "worker/model/parameter_store.h"
#include "worker/model/transformer.h"
#include "worker/optim/adam_w.h"

// Everything that training changes.
namespace lory::train {

// The state after `step` steps. Equal on all ranks of a generation, bit for
// bit. Whether the model is dense follows from the step (DenseSteps).
// Move-only; thread-compatible.
struct TrainingState {
  std::unique_ptr<lory::model::Transformer> model;
  std::unique_ptr<lory::optim::AdamW> optimizer;
  int64_t step = 0;   // applied
  std::string chain;  // over the samples of these steps; 32 bytes
  // Steps skipped for a loss or gradient that was not finite: those in a row
  // up to now, and all.
  int64_t nonfinite_in_row = 0;
  int64_t nonfinite_count = 0;
};

// Steps, from the first, that train the dense model; spec.model must be valid.
int64_t DenseSteps(const lory::v1::JobSpec& spec);

// The state before the first step, a function of the spec alone: the seed's
// weights.
absl::StatusOr<TrainingState> InitialState(const lory::v1::JobSpec& spec);

// The state before the first step of a job that begins from a checkpoint's
// weights. Errors as CheckpointReader::Load.
absl::StatusOr<TrainingState> InitialState(
    const lory::v1::JobSpec& spec,
    const lory::checkpoint::CheckpointReader& weights);

// A state of the right shapes for `step`, to be filled: everything zero.
absl::StatusOr<TrainingState> BlankState(const lory::v1::JobSpec& spec,
                                         int64_t step);

// Turns the dense model into experts if `state` has just done its last dense
// step; otherwise changes nothing. Deterministic.
absl::Status UpcycleIfDue(const lory::v1::JobSpec& spec, TrainingState& state);

// XXH3 over all of it; 8 bytes.
std::string DigestOf(const TrainingState& state);

// The tensors a checkpoint holds, and the numbers beside them.
lory::model::NamedTensors TensorsOf(const TrainingState& state);
std::map<std::string, std::string> MetadataOf(const TrainingState& state);
// Reads back what MetadataOf wrote. DATA_LOSS: an entry is missing or no
// number.
absl::Status SetFromMetadata(const std::map<std::string, std::string>& metadata,
                             TrainingState& state);

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_TRAINING_STATE_H_
