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
  const ssize_t sent =
      send(to_next_.get(), bytes.data(), std::min(bytes.size(), kCallBytes),
           MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) {
    if (WouldBlock() || errno == EINTR) return absl::OkStatus();
    return Gone(options_.next_rank, strerror(errno));
  }
  out.Sent(static_cast<size_t>(sent));
  *moved = true;
  return absl::OkStatus();
}

absl::Status RingLink::Receive(Incoming& in, bool* moved) {
  if (in.ReceiveDone()) return absl::OkStatus();
  const std::span<std::byte> room = in.ToFill();
  const ssize_t got = recv(from_previous_.get(), room.data(),
                           std::min(room.size(), kCallBytes), MSG_DONTWAIT);
  if (got == 0) return Gone(options_.previous_rank, "connection closed");
  if (got < 0) {
    if (WouldBlock() || errno == EINTR) return absl::OkStatus();
    return Gone(options_.previous_rank, strerror(errno));
  }
  in.Filled(static_cast<size_t>(got));
  *moved = true;
  return absl::OkStatus();
}

absl::Status RingLink::Wait(bool sending, bool can_send, bool receiving) {
  // A peer that has all it needs may close, so a direction that is done is
  // not watched; one that is not done is watched for its end even while there
  // is nothing to send.
  std::vector<Watched> watched;
  if (receiving) {
    watched.push_back({.fd = from_previous_.get(), .events = POLLIN});
  }
  if (sending) {
    watched.push_back(
        {.fd = to_next_.get(),
         .events = static_cast<short>(POLLRDHUP | (can_send ? POLLOUT : 0))});
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
  if (sending && watched.back().ready & (POLLRDHUP | POLLHUP | POLLERR)) {
    return Gone(options_.next_rank, "connection closed");
  }
  return absl::OkStatus();
}

absl::Status RingLink::Gone(int rank, absl::string_view why) {
  failed_rank_ = rank;
  return absl::UnavailableError(absl::StrCat("rank ", rank, " is gone: ", why));
}

}  // namespace lory::collective
