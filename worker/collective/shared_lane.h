#ifndef LORY_WORKER_COLLECTIVE_SHARED_LANE_H_
#define LORY_WORKER_COLLECTIVE_SHARED_LANE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "worker/collective/socket.h"

namespace lory::collective {

// Where a lane can be found by another process of this host.
struct LaneAddress {
  int64_t process_id = 0;  // 0: there is no lane
  int64_t descriptor = 0;
  std::array<char, 16> nonce = {};
};

// A one-way stream of bytes through memory that two processes of a host share:
// several times faster than a loopback connection, which copies every byte
// twice and walks through the whole network stack. One side writes, the other
// reads; either end is thread-compatible.
//
// It only moves bytes. Who must wait sets a flag and sleeps on the connection
// beside the lane, where the other side rings; that connection's end also tells
// that the peer is gone.
class SharedLane {
 public:
  // The writing end, in new memory; null when the system has none to give.
  static std::unique_ptr<SharedLane> Create();
  // The reading end of another process's lane; null when `address` is not to
  // be found here: the processes are on different hosts, in different
  // containers, or of different users.
  static std::unique_ptr<SharedLane> Open(const LaneAddress& address);
  ~SharedLane();

  const LaneAddress& address() const { return address_; }

  // Writes or reads as much as there is room or bytes for, and returns it.
  size_t Write(std::span<const std::byte> bytes);
  size_t Read(std::span<std::byte> bytes);

  bool HasBytes() const;
  bool HasRoom() const;

  // Before sleeping: asks the other side to ring. True if it is not worth it,
  // because there is something to do meanwhile.
  bool WriterMustNotSleep();
  bool ReaderMustNotSleep();

  // After moving bytes: whether the other side sleeps and must be rung, once.
  bool TakeReaderSleeps();
  bool TakeWriterSleeps();

 private:
  static constexpr uint64_t kBytes = 512 << 10;  // a power of two

  // In shared memory. Counters only grow; each is written by one side and has
  // a cache line of its own.
  struct Shared {
    std::array<char, 16> nonce;
    alignas(64) std::atomic<uint64_t> written;
    alignas(64) std::atomic<uint64_t> read;
    alignas(64) std::atomic<uint32_t> reader_sleeps;
    alignas(64) std::atomic<uint32_t> writer_sleeps;
    alignas(64) std::byte bytes[kBytes];
  };
  static_assert(std::atomic<uint64_t>::is_always_lock_free);

  SharedLane(FileDescriptor file, Shared* shared);
  static Shared* Map(const FileDescriptor& file);

  FileDescriptor file_;
  Shared* const shared_;
  LaneAddress address_;
};

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_SHARED_LANE_H_
