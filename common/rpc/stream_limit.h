#ifndef LORY_COMMON_RPC_STREAM_LIMIT_H_
#define LORY_COMMON_RPC_STREAM_LIMIT_H_

#include <atomic>
#include <memory>

#include "absl/status/statusor.h"

namespace lory::rpc {

// Counts the streams that are open: each holds a thread until its caller
// leaves, and threads are bounded. Thread-safe.
class StreamLimit {
 public:
  // A place, given back when it is destroyed. Must not outlive the limit.
  class Place {
   public:
    explicit Place(std::atomic<int>& open) : open_(open) {}
    ~Place() { --open_; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    std::atomic<int>& open_;
  };

  explicit StreamLimit(int most) : most_(most) {}

  // RESOURCE_EXHAUSTED, TOO_MANY_STREAMS: all places are taken.
  absl::StatusOr<std::unique_ptr<Place>> Take();

 private:
  const int most_;
  std::atomic<int> open_ = 0;
};

}  // namespace lory::rpc

#endif  // LORY_COMMON_RPC_STREAM_LIMIT_H_
