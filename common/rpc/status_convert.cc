#include "common/rpc/status_convert.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/error_detail.h"
#include "lory/v1/common.pb.h"

namespace lory::rpc {
namespace {

// Both travel in the trailers, which peers limit to 8 KiB; more would turn
// every rich error into RESOURCE_EXHAUSTED.
constexpr size_t kMaxMessageBytes = 2000;
constexpr size_t kMaxDetailBytes = 3000;  // 4000 as base64

// What a byte of the message takes on the wire: all but printable ASCII is
// written as %XX.
size_t WireBytes(char c) { return c >= ' ' && c <= '~' && c != '%' ? 1 : 3; }

std::string Shortened(absl::string_view message) {
  size_t wire_bytes = 0;
  size_t length = 0;
  while (length < message.size()) {
    wire_bytes += WireBytes(message[length]);
    if (wire_bytes > kMaxMessageBytes) break;
    ++length;
  }
  if (length == message.size()) return std::string(message);
  // Never end inside a character of several bytes.
  while (length > 0 && (message[length] & 0xc0) == 0x80) --length;
  return std::string(message.substr(0, length)) + " ...";
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  lory::v1::ErrorDetail detail;
  detail.set_reason(ReasonOf(status));
  if (detail.reason().empty()) {
    detail.set_reason(absl::StatusCodeToString(status.code()));
  }
  detail.set_domain("lory");
  for (const FieldViolation& violation : FieldViolationsOf(status)) {
    auto* field = detail.add_field_violations();
    field->set_field(violation.field);
    field->set_description(violation.description);
    if (detail.ByteSizeLong() > kMaxDetailBytes) {
      detail.mutable_field_violations()->RemoveLast();
      break;
    }
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      Shortened(status.message()), detail.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
  lory::v1::ErrorDetail detail;
  if (status.error_details().empty() ||
      !detail.ParseFromString(status.error_details())) {
    return result;
  }
  const auto copy_payloads = [&result](const absl::Status& from) {
    from.ForEachPayload([&](absl::string_view type, const absl::Cord& value) {
      result.SetPayload(type, value);
    });
  };
  std::vector<FieldViolation> violations;
  for (const auto& field : detail.field_violations()) {
    violations.push_back({field.field(), field.description()});
  }
  copy_payloads(FieldErrors(std::move(violations)));
  copy_payloads(ErrorWithReason(result.code(), detail.reason(), ""));
  return result;
}

}  // namespace lory::rpc
