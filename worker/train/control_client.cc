#include "worker/train/control_client.h"

#include <grpcpp/client_context.h>

#include <atomic>
#include <utility>

#include "absl/memory/memory.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status_convert.h"

namespace lory::train {
namespace {

using ::lory::internal::v1::TrainerOrder;
using ::lory::internal::v1::TrainerReport;
using ::lory::internal::v1::TrainerService;

// The status goes up at least this often,
constexpr absl::Duration kReportInterval = absl::Milliseconds(250);
// and at most this often: a small model makes a thousand steps a second.
constexpr absl::Duration kReportPause = absl::Milliseconds(20);
constexpr absl::Duration kReconnectPause = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::unique_ptr<ControlClient>> ControlClient::Start(
    const std::string& address, ControlBoard& board, Clock& clock) {
  LORY_ASSIGN_OR_RETURN(auto channel, rpc::OpenChannel(address, {}));
  return absl::WrapUnique(new ControlClient(
      TrainerService::NewStub(std::move(channel)), board, clock));
}

ControlClient::ControlClient(std::unique_ptr<TrainerService::Stub> stub,
                             ControlBoard& board, Clock& clock)
    : stub_(std::move(stub)),
      board_(board),
      clock_(clock),
      thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

void ControlClient::Run(std::stop_token stop) {
  while (!stop.stop_requested() && !board_.closed()) {
    if (!Attend(stop)) {
      board_.Close();
      return;
    }
    clock_.SleepFor(kReconnectPause);
  }
}

bool ControlClient::Attend(const std::stop_token& stop) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  const std::stop_callback cancel(stop, [&] { context.TryCancel(); });
  const auto stream = stub_->Attend(&context);
  std::atomic<bool> ended = false;
  {
    const std::jthread reader([&] {
      TrainerOrder order;
      while (stream->Read(&order)) board_.Post(std::move(order));
      ended = true;
    });
    int64_t seen = 0, parts_seen = 0;
    while (!ended && !stop.stop_requested()) {
      const TrainerReport report =
          board_.AwaitReport(&seen, &parts_seen, kReportInterval);
      if (!stream->Write(report)) break;
      clock_.SleepFor(kReportPause);
    }
    // Whichever way the loop ended, the reader ends too: by `stop`, or with the
    // stream. To cancel a stream that the daemon has ended would hide why.
  }
  const absl::Status status = rpc::FromGrpc(stream->Finish());
  if (absl::IsPermissionDenied(status)) {
    Log(LogLevel::kError, "the daemon does not know this trainer",
        {{"reason", status.message()}});
    return false;
  }
  if (!stop.stop_requested()) {
    Log(LogLevel::kWarning, "the daemon's stream ended",
        {{"reason", status.message()}});
  }
  return true;
}

}  // namespace lory::train
