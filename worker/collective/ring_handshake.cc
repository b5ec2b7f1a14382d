#include "worker/collective/ring_handshake.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/collective/ring_link.h"

namespace lory::collective {
namespace {

constexpr std::array<char, 8> kMagic = {'L', 'O', 'R', 'Y', 'R', 'I', 'N', 'G'};
constexpr uint32_t kVersion = 1;
// Answers: welcome, bytes come through the socket or through the lane.
constexpr char kWelcome = 'W';
constexpr char kWelcomeByLane = 'L';
// Strangers that are served at a time; more are cut off.
constexpr size_t kPendingLimit = 64;

struct Hello {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  int32_t world_size = 0;
  int64_t generation = 0;
  int32_t from_rank = 0;
  int32_t to_rank = 0;
  LaneAddress lane;
  std::array<char, 32> proof = {};  // SHA-256 over all of it, job and token
};
static_assert(sizeof(Hello) == kHelloBytes);

Hello HelloFrom(const Membership& membership, int from_rank,
                const LaneAddress& lane) {
  Hello hello;
  hello.lane = lane;
  hello.world_size = membership.world_size;
  hello.generation = membership.generation;
  hello.from_rank = from_rank;
  hello.to_rank = (from_rank + 1) % membership.world_size;
  const std::string proof = Sha256Bytes(absl::StrCat(
      absl::string_view(reinterpret_cast<const char*>(&hello), sizeof(hello)),
      membership.job.size(), ":", membership.job, membership.token));
  std::memcpy(hello.proof.data(), proof.data(), hello.proof.size());
  return hello;
}

// Compares in a time that does not tell where they differ.
bool SameProof(const Hello& a, const Hello& b) {
  unsigned char difference = 0;
  for (size_t i = 0; i < a.proof.size(); ++i) {
    difference |= static_cast<unsigned char>(a.proof[i] ^ b.proof[i]);
  }
  return difference == 0;
}

absl::Status Gone(int rank, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("rank ", rank, " is gone: ", why));
}

// Waits for peers that may still be loading, and tells that it does.
absl::Status WaitPatiently(std::span<Watched> watched,
                           const Membership& membership,
                           const AbortSignal& abort) {
  const absl::Duration slice =
      std::min(membership.connect_limit, absl::Seconds(1));
  for (absl::Duration waited; waited < membership.connect_limit;
       waited += slice) {
    const absl::Status status = WaitForAny(watched, abort, slice);
    if (!absl::IsDeadlineExceeded(status)) return status;
    if (membership.waiting != nullptr) membership.waiting();
  }
  return absl::DeadlineExceededError(absl::StrCat(
      "nobody came for ", absl::FormatDuration(membership.connect_limit)));
}

// A connection whose hello has not come yet.
struct Pending {
  FileDescriptor socket;
  std::string hello;
};

// Reads more of the hello. False: cut it off.
bool ReadSome(Pending* pending) {
  std::array<char, kHelloBytes> bytes;
  const ssize_t got = recv(pending->socket.get(), bytes.data(),
                           kHelloBytes - pending->hello.size(), MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  pending->hello.append(bytes.data(), got);
  return got > 0;
}

// Answers a peer whose hello was right. If it is gone by now, that shows with
// the first exchange.
Connection Welcome(Pending peer) {
  Hello hello;
  std::memcpy(&hello, peer.hello.data(), sizeof(hello));
  Connection connection{std::move(peer.socket), SharedLane::Open(hello.lane)};
  const char answer = connection.lane != nullptr ? kWelcomeByLane : kWelcome;
  [[maybe_unused]] const ssize_t sent =
      send(connection.socket.get(), &answer, 1, MSG_NOSIGNAL);
  return connection;
}

}  // namespace

std::string MakeHello(const Membership& membership, const LaneAddress& lane) {
  const Hello hello = HelloFrom(membership, membership.rank, lane);
  return std::string(reinterpret_cast<const char*>(&hello), sizeof(hello));
}

absl::Status CheckHello(const std::string& bytes,
                        const Membership& membership) {
  Hello hello;
  if (bytes.size() != sizeof(hello)) {
    return absl::PermissionDeniedError("no hello of a ring");
  }
  std::memcpy(&hello, bytes.data(), sizeof(hello));
  if (hello.magic != kMagic) {
    return absl::PermissionDeniedError("no hello of a ring");
  }
  if (hello.version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("speaks version ", hello.version, ", this is ", kVersion));
  }
  if (hello.generation != membership.generation) {
    return absl::FailedPreconditionError(
        absl::StrCat("generation ", hello.generation, " at generation ",
                     membership.generation));
  }
  const Hello expected = HelloFrom(
      membership,
      (membership.rank + membership.world_size - 1) % membership.world_size,
      hello.lane);
  if (hello.from_rank != expected.from_rank ||
      hello.to_rank != expected.to_rank ||
      hello.world_size != expected.world_size) {
    return absl::FailedPreconditionError(
        absl::StrCat("rank ", hello.from_rank, " of ", hello.world_size,
                     " took this for rank ", hello.to_rank));
  }
  if (!SameProof(hello, expected)) {
    return absl::PermissionDeniedError("wrong job or token");
  }
  return absl::OkStatus();
}

absl::StatusOr<Connection> ConnectToNext(const Membership& membership,
                                         bool offer_lane,
                                         const AbortSignal& abort) {
  const int next = (membership.rank + 1) % membership.world_size;
  LORY_ASSIGN_OR_RETURN(FileDescriptor socket,
                        BeginConnect(membership.endpoints[next]));
  TuneConnection(socket);
  Watched watched{.fd = socket.get(), .events = POLLOUT};
  LORY_RETURN_IF_ERROR(
      WaitForAny(std::span(&watched, 1), abort, membership.timeout));
  if (const absl::Status status = ConnectResult(socket); !status.ok()) {
    return Gone(next, status.message());
  }
  // A new connection's buffer is empty and larger than this.
  std::unique_ptr<SharedLane> lane;
  if (offer_lane) lane = SharedLane::Create();
  const std::string hello =
      MakeHello(membership, lane != nullptr ? lane->address() : LaneAddress());
  if (send(socket.get(), hello.data(), hello.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(hello.size())) {
    return Gone(next, "connection closed");
  }
  return Connection{std::move(socket), std::move(lane)};
}

absl::StatusOr<Connection> AcceptPrevious(const FileDescriptor& listener,
                                          const Membership& membership,
                                          const AbortSignal& abort) {
  std::vector<Pending> pending;
  for (;;) {
    std::vector<Watched> watched = {{.fd = listener.get(), .events = POLLIN}};
    for (const Pending& one : pending) {
      watched.push_back({.fd = one.socket.get(), .events = POLLIN});
    }
    LORY_RETURN_IF_ERROR(WaitPatiently(watched, membership, abort));
    for (size_t i = pending.size(); i-- > 0;) {
      if (watched[i + 1].ready == 0) continue;
      const bool alive = ReadSome(&pending[i]);
      if (alive && pending[i].hello.size() < kHelloBytes) continue;
      Pending peer = std::move(pending[i]);
      pending.erase(pending.begin() + static_cast<ptrdiff_t>(i));
      const absl::Status status = CheckHello(peer.hello, membership);
      if (status.ok()) return Welcome(std::move(peer));
      Log(LogLevel::kWarning, "connection refused",
          {{"reason", status.message()}});
    }
    if (watched[0].ready == 0) continue;
    LORY_ASSIGN_OR_RETURN(FileDescriptor socket, Accept(listener));
    if (!socket.valid()) continue;
    TuneConnection(socket);
    if (pending.size() == kPendingLimit) pending.erase(pending.begin());
    pending.push_back({.socket = std::move(socket)});
  }
}

absl::Status AwaitAnswer(const Membership& membership, const AbortSignal& abort,
                         Connection* to_next) {
  const int next = (membership.rank + 1) % membership.world_size;
  Watched watched{.fd = to_next->socket.get(), .events = POLLIN};
  LORY_RETURN_IF_ERROR(
      WaitPatiently(std::span(&watched, 1), membership, abort));
  char answer = 0;
  if (recv(to_next->socket.get(), &answer, 1, MSG_DONTWAIT) != 1 ||
      (answer != kWelcome && answer != kWelcomeByLane)) {
    return Gone(next, "it refused the connection");
  }
  if (answer == kWelcome) to_next->lane.reset();
  return absl::OkStatus();
}

}  // namespace lory::collective
