#ifndef LORY_WORKER_COLLECTIVE_RING_LINK_H_
#define LORY_WORKER_COLLECTIVE_RING_LINK_H_

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "worker/collective/abort_signal.h"
#include "worker/collective/shared_lane.h"
#include "worker/collective/socket.h"

namespace lory::collective {

// Bytes for the next rank, some of which may have to be received first.
class Outgoing {
 public:
  virtual ~Outgoing() = default;
  virtual bool SendDone() const = 0;
  // What may go now; empty: nothing yet.
  virtual std::span<const std::byte> ToSend() = 0;
  virtual void Sent(size_t count) = 0;
};

// Room for the bytes of the previous rank.
class Incoming {
 public:
  virtual ~Incoming() = default;
  virtual bool ReceiveDone() const = 0;
  // Never empty before ReceiveDone.
  virtual std::span<std::byte> ToFill() = 0;
  virtual void Filled(size_t count) = 0;
};

// One of a rank's two connections. Where both ends are on one host the bytes
// go through the lane, and the socket is the bell.
struct Connection {
  FileDescriptor socket;
  std::unique_ptr<SharedLane> lane;  // may be null
};

// A rank's two connections: to the next rank it only sends, from the previous
// one it only receives. Thread-compatible.
class RingLink {
 public:
  struct Options {
    int next_rank = 0;
    int previous_rank = 0;
    absl::Duration timeout;  // longest time in which nothing moves
  };

  // `abort` must outlive the link.
  RingLink(Connection to_next, Connection from_previous,
           const AbortSignal& abort, const Options& options)
      : to_next_(std::move(to_next)),
        from_previous_(std::move(from_previous)),
        abort_(abort),
        options_(options) {}

  // Moves both ways at once until both are done. Errors as Communicator's.
  absl::Status Exchange(Outgoing& out, Incoming& in);

  // Sends and fills whole buffers.
  absl::Status Exchange(std::span<const std::byte> out,
                        std::span<std::byte> in);

  // After an error: see Communicator.
  int failed_rank() const { return failed_rank_; }

 private:
  // Each sets `moved` if it did anything.
  absl::Status Send(Outgoing& out, bool* moved);
  absl::Status Receive(Incoming& in, bool* moved);
  // Blocks until a direction that is wanted can move.
  absl::Status Wait(bool sending, bool can_send, bool receiving);
  // Whether a lane has bytes or room by now; asks to be rung otherwise.
  bool LaneMoves(bool can_send, bool receiving);
  // Takes in what woke this rank. UNAVAILABLE: the peer's end.
  absl::Status Answer(Connection& from, int rank);
  absl::Status Gone(int rank, absl::string_view why);

  Connection to_next_;
  Connection from_previous_;
  const AbortSignal& abort_;
  const Options options_;
  int failed_rank_ = -1;
};

// Waits until one of `fds` is ready for its events, for at most `timeout` as
// long as nothing happens. OK; ABORTED; DEADLINE_EXCEEDED.
struct Watched {
  int fd = -1;
  short events = 0;
  short ready = 0;  // set on return
};
absl::Status WaitForAny(std::span<Watched> watched, const AbortSignal& abort,
                        absl::Duration timeout);

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_RING_LINK_H_
