#include "worker/collective/ring_link.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace lory::collective {
namespace {

// Most bytes of one system call: what fits the second-level cache, so that
// sent bytes are still there when the next call needs them.
constexpr size_t kCallBytes = 256 << 10;

class SendSpan final : public Outgoing {
 public:
  explicit SendSpan(std::span<const std::byte> bytes) : rest_(bytes) {}
  bool SendDone() const override { return rest_.empty(); }
  std::span<const std::byte> ToSend() override { return rest_; }
  void Sent(size_t count) override { rest_ = rest_.subspan(count); }

 private:
  std::span<const std::byte> rest_;
};

class FillSpan final : public Incoming {
 public:
  explicit FillSpan(std::span<std::byte> bytes) : rest_(bytes) {}
  bool ReceiveDone() const override { return rest_.empty(); }
  std::span<std::byte> ToFill() override { return rest_; }
  void Filled(size_t count) override { rest_ = rest_.subspan(count); }

 private:
  std::span<std::byte> rest_;
};

constexpr absl::string_view kClosed = "connection closed";

// Looks at a lane before this rank goes to sleep: some tens of microseconds.
// Without sched_yield, which on a busy machine costs a whole time slice.
constexpr int kLooks = 1000;

// Lets the other thread of the core go first for a moment.
void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Wakes the peer. A bell that is full has rung.
void Ring(const FileDescriptor& socket) {
  const char bell = 'R';
  [[maybe_unused]] const ssize_t sent =
      send(socket.get(), &bell, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

absl::Status WaitForAny(std::span<Watched> watched, const AbortSignal& abort,
                        absl::Duration timeout) {
  std::vector<pollfd> polled = {{.fd = abort.fd(), .events = POLLIN}};
  for (const Watched& one : watched) {
    polled.push_back({.fd = one.fd, .events = one.events});
  }
  const int limit_ms = static_cast<int>(
      std::min<int64_t>(absl::ToInt64Milliseconds(timeout), 1 << 30));
  int ready;
  do {
    ready = poll(polled.data(), polled.size(), limit_ms);
  } while (ready < 0 && errno == EINTR);
  if (abort.raised()) return absl::AbortedError("the collective was aborted");
  if (ready < 0) return absl::InternalError(strerror(errno));
  if (ready == 0) {
    return absl::DeadlineExceededError(
        absl::StrCat("nothing moved for ", absl::FormatDuration(timeout)));
  }
  for (size_t i = 0; i < watched.size(); ++i) {
    watched[i].ready = polled[i + 1].revents;
  }
  return absl::OkStatus();
}

absl::Status RingLink::Exchange(Outgoing& out, Incoming& in) {
  while (!out.SendDone() || !in.ReceiveDone()) {
    if (abort_.raised()) {
      return absl::AbortedError("the collective was aborted");
    }
    bool moved = false;
    LORY_RETURN_IF_ERROR(Send(out, &moved));
    LORY_RETURN_IF_ERROR(Receive(in, &moved));
    if (!moved) {
      LORY_RETURN_IF_ERROR(
          Wait(!out.SendDone(), !out.ToSend().empty(), !in.ReceiveDone()));
    }
  }
  return absl::OkStatus();
}

absl::Status RingLink::Exchange(std::span<const std::byte> out,
                                std::span<std::byte> in) {
  SendSpan send(out);
  FillSpan fill(in);
  return Exchange(send, fill);
}

absl::Status RingLink::Send(Outgoing& out, bool* moved) {
  const std::span<const std::byte> bytes = out.ToSend();
  if (bytes.empty()) return absl::OkStatus();
  const size_t limit = std::min(bytes.size(), kCallBytes);
  size_t sent = 0;
  if (to_next_.lane != nullptr) {
    sent = to_next_.lane->Write(bytes.first(limit));
    if (sent > 0 && to_next_.lane->TakeReaderSleeps()) Ring(to_next_.socket);
  } else {
    const ssize_t result = send(to_next_.socket.get(), bytes.data(), limit,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (result < 0) {
      if (WouldBlock() || errno == EINTR) return absl::OkStatus();
      return Gone(options_.next_rank, strerror(errno));
    }
    sent = static_cast<size_t>(result);
  }
  if (sent == 0) return absl::OkStatus();
  out.Sent(sent);
  *moved = true;
  return absl::OkStatus();
}

absl::Status RingLink::Receive(Incoming& in, bool* moved) {
  if (in.ReceiveDone()) return absl::OkStatus();
  const std::span<std::byte> room = in.ToFill();
  const size_t limit = std::min(room.size(), kCallBytes);
  size_t got = 0;
  if (from_previous_.lane != nullptr) {
    got = from_previous_.lane->Read(room.first(limit));
    if (got > 0 && from_previous_.lane->TakeWriterSleeps()) {
      Ring(from_previous_.socket);
    }
    if (got == 0) return absl::OkStatus();
  } else {
    const ssize_t result =
        recv(from_previous_.socket.get(), room.data(), limit, MSG_DONTWAIT);
    if (result == 0) return Gone(options_.previous_rank, kClosed);
    if (result < 0) {
      if (WouldBlock() || errno == EINTR) return absl::OkStatus();
      return Gone(options_.previous_rank, strerror(errno));
    }
    got = static_cast<size_t>(result);
  }
  in.Filled(got);
  *moved = true;
  return absl::OkStatus();
}

bool RingLink::LaneMoves(bool can_send, bool receiving) {
  // The peer is usually busy with the other half of what is waited for: a
  // moment of patience is cheaper than to sleep and be woken.
  for (int i = 0; i < kLooks; ++i) {
    if (receiving && from_previous_.lane != nullptr &&
        from_previous_.lane->HasBytes()) {
      return true;
    }
    if (can_send && to_next_.lane != nullptr && to_next_.lane->HasRoom()) {
      return true;
    }
    Pause();
  }
  return (receiving && from_previous_.lane != nullptr &&
          from_previous_.lane->ReaderMustNotSleep()) ||
         (can_send && to_next_.lane != nullptr &&
          to_next_.lane->WriterMustNotSleep());
}

absl::Status RingLink::Wait(bool sending, bool can_send, bool receiving) {
  if (to_next_.lane != nullptr || from_previous_.lane != nullptr) {
    if (LaneMoves(can_send, receiving)) return absl::OkStatus();
  }
  // A peer that has all it needs may close, so a direction that is done is
  // not watched; one that is not done is watched for its end even while there
  // is nothing to send.
  std::vector<Watched> watched;
  if (receiving) {
    watched.push_back({.fd = from_previous_.socket.get(), .events = POLLIN});
  }
  if (sending) {
    const bool bell = to_next_.lane != nullptr;
    const int wanted = bell ? POLLIN : (can_send ? POLLOUT : 0);
    watched.push_back({.fd = to_next_.socket.get(),
                       .events = static_cast<short>(POLLRDHUP | wanted)});
  }
  const absl::Status status = WaitForAny(watched, abort_, options_.timeout);
  if (absl::IsDeadlineExceeded(status)) {
    // In a larger ring the silent neighbour may itself be waiting: only of two
    // is the other one surely at fault.
    const bool two = options_.next_rank == options_.previous_rank;
    failed_rank_ = two ? options_.next_rank : -1;
    return Annotate(status, absl::StrCat("waiting for rank ",
                                         receiving ? options_.previous_rank
                                                   : options_.next_rank));
  }
  LORY_RETURN_IF_ERROR(status);
  if (receiving && watched.front().ready != 0 &&
      from_previous_.lane != nullptr) {
    LORY_RETURN_IF_ERROR(Answer(from_previous_, options_.previous_rank));
  }
  if (sending && watched.back().ready & (POLLRDHUP | POLLHUP | POLLERR)) {
    return Gone(options_.next_rank, kClosed);
  }
  if (sending && watched.back().ready & POLLIN) {
    return Answer(to_next_, options_.next_rank);
  }
  return absl::OkStatus();
}

absl::Status RingLink::Answer(Connection& from, int rank) {
  char bells[64];
  const ssize_t got =
      recv(from.socket.get(), bells, sizeof(bells), MSG_DONTWAIT);
  if (got > 0) return absl::OkStatus();
  if (got < 0 && (WouldBlock() || errno == EINTR)) return absl::OkStatus();
  // What a peer wrote before it closed still counts; looked at after the end
  // was seen, since before it more might have come.
  const bool receives = &from == &from_previous_;
  if (receives && from.lane->HasBytes()) return absl::OkStatus();
  return Gone(rank, kClosed);
}

absl::Status RingLink::Gone(int rank, absl::string_view why) {
  failed_rank_ = rank;
  return absl::UnavailableError(absl::StrCat("rank ", rank, " is gone: ", why));
}

}  // namespace lory::collective
