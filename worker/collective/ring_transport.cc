#include "worker/collective/ring_transport.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/collective/abort_signal.h"
#include "worker/collective/ring_communicator.h"
#include "worker/collective/ring_handshake.h"
#include "worker/collective/ring_link.h"
#include "worker/collective/socket.h"

namespace lory::collective {
namespace {

absl::Status CheckMembership(const Membership& membership) {
  if (membership.world_size < 1 || membership.rank < 0 ||
      membership.rank >= membership.world_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", membership.rank, " of ", membership.world_size));
  }
  if (membership.world_size > 1 &&
      membership.endpoints.size() !=
          static_cast<size_t>(membership.world_size)) {
    return absl::InvalidArgumentError(
        absl::StrCat(membership.endpoints.size(), " endpoints for ",
                     membership.world_size, " ranks"));
  }
  return absl::OkStatus();
}

class RingListener final : public Listener {
 public:
  RingListener(FileDescriptor socket, std::string endpoint, bool share_memory)
      : socket_(std::move(socket)),
        endpoint_(std::move(endpoint)),
        share_memory_(share_memory) {}

  const std::string& endpoint() const override { return endpoint_; }

  absl::StatusOr<std::unique_ptr<Communicator>> Connect(
      const Membership& membership) override;

  void Abort() override { abort_.Raise(); }

  int failed_rank() const override { return failed_rank_; }

 private:
  FileDescriptor socket_;
  const std::string endpoint_;
  const bool share_memory_;
  AbortSignal abort_;
  int failed_rank_ = -1;
};

absl::StatusOr<std::unique_ptr<Communicator>> RingListener::Connect(
    const Membership& membership) {
  LORY_RETURN_IF_ERROR(CheckMembership(membership));
  const int rank = membership.rank;
  const int world = membership.world_size;
  if (world == 1) return MakeSoloCommunicator(abort_);

  // Until the answers are in, a failure is at the neighbour it shows at.
  failed_rank_ = (rank + 1) % world;
  LORY_ASSIGN_OR_RETURN(Connection to_next,
                        ConnectToNext(membership, share_memory_, abort_));
  failed_rank_ = (rank + world - 1) % world;
  absl::StatusOr<Connection> from_previous =
      AcceptPrevious(socket_, membership, abort_);
  if (!from_previous.ok()) {
    return Annotate(from_previous.status(),
                    absl::StrCat("waiting for rank ", failed_rank_));
  }
  failed_rank_ = (rank + 1) % world;
  LORY_RETURN_IF_ERROR(Annotate(AwaitAnswer(membership, abort_, &to_next),
                                absl::StrCat("at rank ", failed_rank_)));
  failed_rank_ = -1;
  socket_.Reset();  // nobody else may come
  return MakeRingCommunicator(
      rank, world,
      std::make_unique<RingLink>(
          std::move(to_next), *std::move(from_previous), abort_,
          RingLink::Options{.next_rank = (rank + 1) % world,
                            .previous_rank = (rank + world - 1) % world,
                            .timeout = membership.timeout}),
      abort_);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> RingTransport::Listen() {
  LORY_ASSIGN_OR_RETURN(FileDescriptor socket, ListenOn(host_));
  LORY_ASSIGN_OR_RETURN(std::string endpoint, EndpointOf(socket, host_));
  return std::make_unique<RingListener>(std::move(socket), std::move(endpoint),
                                        share_memory_);
}

}  // namespace lory::collective
