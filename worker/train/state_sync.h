#ifndef LORY_WORKER_TRAIN_STATE_SYNC_H_
#define LORY_WORKER_TRAIN_STATE_SYNC_H_

#include <optional>

#include "absl/status/status.h"
#include "lory/v1/job.pb.h"
#include "worker/collective/communicator.h"
#include "worker/train/training_state.h"

namespace lory::train {

// Brings every rank to the state that rank `source` holds. Nothing is sent
// when all hold it already; otherwise it goes once round the ring. A rank that
// held another state, or none, receives into new memory and changes over only
// when all of it is there and its digest is right: if the source dies on the
// way, the older state is still whole.
//
// Errors as Communicator's; UNAVAILABLE too when the source holds no state or
// what arrived is not what was sent. RESOURCE_EXHAUSTED: no memory.
absl::Status SyncState(lory::collective::Communicator& communicator, int source,
                       const lory::v1::JobSpec& spec,
                       std::optional<TrainingState>& state);

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_STATE_SYNC_H_
