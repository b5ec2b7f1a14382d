#ifndef LORY_WORKER_COLLECTIVE_RING_HANDSHAKE_H_
#define LORY_WORKER_COLLECTIVE_RING_HANDSHAKE_H_

#include <string>

#include "absl/status/status.h"
#include "worker/collective/abort_signal.h"
#include "worker/collective/communicator.h"
#include "worker/collective/ring_link.h"
#include "worker/collective/shared_lane.h"
#include "worker/collective/socket.h"

// How two neighbours of a ring make sure of each other: the one that connects
// says who it is, the other answers one byte. Nothing is trusted before.
namespace lory::collective {

// What the connecting side says, as bytes of fixed length: magic, version,
// generation, ranks, where its lane is, and a hash over all that, job and
// token, so that the token itself never leaves the host.
inline constexpr size_t kHelloBytes = 96;
std::string MakeHello(const Membership& membership,
                      const LaneAddress& lane = {});

// Whether `hello` comes from the rank before `membership.rank`.
//
// PERMISSION_DENIED: not one of ours, or job or token differ.
// FAILED_PRECONDITION: another generation or rank.
absl::Status CheckHello(const std::string& hello, const Membership& membership);

// Connects to the next rank and says hello; does not wait for the answer, for
// that may take until the next rank is served by its own next.
// `offer_lane`: the bytes may go through shared memory, if the next rank finds
// it.
absl::StatusOr<Connection> ConnectToNext(const Membership& membership,
                                         bool offer_lane,
                                         const AbortSignal& abort);

// Takes connections until one has the right hello, and answers it. Strangers
// are cut off and do not hold up anyone, however slowly they speak.
absl::StatusOr<Connection> AcceptPrevious(const FileDescriptor& listener,
                                          const Membership& membership,
                                          const AbortSignal& abort);

// Waits for the next rank's answer; drops the lane if it did not find it.
absl::Status AwaitAnswer(const Membership& membership, const AbortSignal& abort,
                         Connection* to_next);

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_RING_HANDSHAKE_H_
