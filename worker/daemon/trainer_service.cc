#include "worker/daemon/trainer_service.h"

#include <optional>
#include <stop_token>
#include <thread>

#include "common/rpc/status_convert.h"

namespace lory::daemon {
namespace {

using ::lory::internal::v1::TrainerOrder;
using ::lory::internal::v1::TrainerReport;
using Stream = grpc::ServerReaderWriter<TrainerOrder, TrainerReport>;

// How soon a writer notices that its stream has ended.
constexpr absl::Duration kLook = absl::Milliseconds(500);

}  // namespace

grpc::Status TrainerService::Attend(grpc::ServerContext* context,
                                    Stream* stream) {
  TrainerReport report;
  if (!stream->Read(&report)) return grpc::Status::OK;
  const std::string incarnation = report.status().incarnation();
  const absl::StatusOr<int64_t> number = table_.Connect(report.status());
  if (!number.ok()) return rpc::ToGrpc(number.status());

  const std::jthread orders([&](std::stop_token stop) {
    int64_t seen = 0;
    while (!stop.stop_requested()) {
      const std::optional<NumberedOrder> order =
          table_.WaitForOrder(incarnation, *number, seen, kLook);
      if (!order.has_value()) {
        context->TryCancel();  // superseded, or the process is gone
        return;
      }
      if (order->number == seen) continue;
      seen = order->number;
      if (!stream->Write(order->order)) return;
    }
  });
  do {
    // Parts first: who sees the last step reported may look for them.
    for (const auto& part : report.written_parts()) parts_(incarnation, part);
    table_.Reported(incarnation, *number, report);
  } while (stream->Read(&report));
  table_.Disconnected(incarnation, *number);
  return grpc::Status::OK;
}

}  // namespace lory::daemon
