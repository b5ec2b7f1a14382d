#ifndef LORY_WORKER_COLLECTIVE_COMMUNICATOR_H_
#define LORY_WORKER_COLLECTIVE_COMMUNICATOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// How the ranks of a generation exchange numbers.
namespace lory::collective {

// One rank's end of a generation's communication. Every rank must make the
// same calls in the same order with the same sizes.
//
// Calls block, but never for ever. All of them return
//   UNAVAILABLE        a peer is gone; the message names its rank
//   DEADLINE_EXCEEDED  nothing moved for the collective timeout
//   ABORTED            Abort was called
//   INTERNAL           a peer made a different call
// and after any error only Abort, failed_rank and destruction are allowed.
//
// Thread-compatible, but for Abort, which any thread may call.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int world_size() const = 0;

  // Replaces the numbers by their sums over all ranks. Every rank ends with
  // the same bits, and these depend on numbers and world only. `pieces` are
  // treated as one buffer, as if they lay one behind the other.
  virtual absl::Status AllReduceSum(
      std::span<const std::span<float>> pieces) = 0;
  absl::Status AllReduceSum(std::span<float> numbers) {
    return AllReduceSum(std::span<const std::span<float>>(&numbers, 1));
  }

  // Replaces `bytes` by those of rank `root`.
  virtual absl::Status Broadcast(std::span<std::byte> bytes, int root) = 0;

  // Everyone's `bytes`, by rank; at most kGatherLimit of each, lengths may
  // differ. For words, not for tensors.
  static constexpr int64_t kGatherLimit = 1 << 20;
  virtual absl::StatusOr<std::vector<std::string>> AllGather(
      absl::string_view bytes) = 0;

  // Returns once every rank has called it.
  virtual absl::Status Barrier() = 0;

  // Ends a call in progress, and every later one, with ABORTED.
  virtual void Abort() = 0;

  // After an error: the rank it happened at; -1: not known.
  virtual int failed_rank() const = 0;
};

// What a rank must know to meet its peers.
struct Membership {
  std::string job;
  int64_t generation = 0;
  int rank = 0;
  int world_size = 1;
  std::vector<std::string> endpoints;          // by rank
  std::string token;                           // shared by the members only
  absl::Duration timeout = absl::Seconds(20);  // longest silence of a peer
  // Longest wait for a peer to come; then `timeout` holds.
  absl::Duration connect_limit = absl::Seconds(20);
  // Called at least once a second while Connect waits; may be null.
  std::function<void()> waiting = nullptr;
};

// A place where peers can reach this rank, for one generation.
class Listener {
 public:
  virtual ~Listener() = default;

  // What the peers' Membership must say.
  virtual const std::string& endpoint() const = 0;

  // Meets the peers; once. A connection of another job, generation or token
  // is refused and does not disturb. Errors as Communicator's, and
  // INVALID_ARGUMENT: the membership contradicts itself. The communicator must
  // not outlive the listener.
  virtual absl::StatusOr<std::unique_ptr<Communicator>> Connect(
      const Membership& membership) = 0;

  // Ends Connect, and every call of the communicator, with ABORTED. Any
  // thread.
  virtual void Abort() = 0;

  // After Connect failed: the rank it failed at; -1: not known.
  virtual int failed_rank() const = 0;
};

// Makes listeners.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen() = 0;
};

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_COMMUNICATOR_H_
