#ifndef LORY_WORKER_COLLECTIVE_RING_COMMUNICATOR_H_
#define LORY_WORKER_COLLECTIVE_RING_COMMUNICATOR_H_

#include <memory>

#include "worker/collective/abort_signal.h"
#include "worker/collective/communicator.h"
#include "worker/collective/ring_link.h"

namespace lory::collective {

// The communicator of a rank that holds its two links; world > 1. `abort` must
// outlive it.
std::unique_ptr<Communicator> MakeRingCommunicator(
    int rank, int world, std::unique_ptr<RingLink> link, AbortSignal& abort);

// The communicator of a rank that is alone: sums are what they are.
std::unique_ptr<Communicator> MakeSoloCommunicator(AbortSignal& abort);

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_RING_COMMUNICATOR_H_
