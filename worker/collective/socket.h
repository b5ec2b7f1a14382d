#ifndef LORY_WORKER_COLLECTIVE_SOCKET_H_
#define LORY_WORKER_COLLECTIVE_SOCKET_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The few socket calls the ring needs. All sockets are non-blocking.
namespace lory::collective {

// Owns a file descriptor. Move-only.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  ~FileDescriptor() { Reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release();
  void Reset();

 private:
  int fd_;
};

// Listens on any free port of `host`, which is an address or a name.
//
// INVALID_ARGUMENT: the name does not resolve. UNAVAILABLE: no such address
// here.
absl::StatusOr<FileDescriptor> ListenOn(const std::string& host);

// host:port (or [host]:port) where `listener` can be reached, under the name
// `host`.
absl::StatusOr<std::string> EndpointOf(const FileDescriptor& listener,
                                       const std::string& host);

// Begins to connect to host:port; the socket is writable when it is done, and
// ConnectResult then says how it went.
absl::StatusOr<FileDescriptor> BeginConnect(const std::string& endpoint);
absl::Status ConnectResult(const FileDescriptor& socket);

// Takes a connection that waits; invalid when none does.
absl::StatusOr<FileDescriptor> Accept(const FileDescriptor& listener);

// No delay, keepalive, large buffers.
void TuneConnection(const FileDescriptor& socket);

}  // namespace lory::collective

#endif  // LORY_WORKER_COLLECTIVE_SOCKET_H_
