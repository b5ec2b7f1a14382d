// The details of an error that a peer answers with: whatever they are, the
// error keeps its code and its message, and travels on as the same.
#include "common/base/error_detail.h"
#include "common/rpc/status_convert.h"
#include "tests/fuzz/fuzz.h"

namespace lory {

LORY_FUZZ(input) {
  using rpc::FromGrpc;
  const auto [message, details] = fuzz::CutInTwo(input);
  const absl::Status status = FromGrpc(grpc::Status(
      grpc::StatusCode::ABORTED, std::string(message), std::string(details)));
  LORY_CHECK(status.code() == absl::StatusCode::kAborted);
  LORY_CHECK(status.message() == message);
  const absl::Status again = FromGrpc(rpc::ToGrpc(status));
  LORY_CHECK(again.code() == status.code());
  // One without a reason gets the name of its code on the way.
  LORY_CHECK(ReasonOf(again) ==
             (ReasonOf(status).empty() ? "ABORTED" : ReasonOf(status)));
  LORY_CHECK(FieldViolationsOf(again).size() <=
             FieldViolationsOf(status).size());
}

}  // namespace lory
