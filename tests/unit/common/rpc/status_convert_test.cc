#include "common/rpc/status_convert.h"

#include <string>
#include <vector>

#include "common/base/error_detail.h"
#include "gtest/gtest.h"
#include "lory/v1/common.pb.h"

namespace lory::rpc {
namespace {

absl::Status OverTheWire(const absl::Status& status) {
  return FromGrpc(ToGrpc(status));
}

TEST(StatusConvertTest, OkStaysOk) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(OverTheWire(absl::OkStatus()).ok());
}

TEST(StatusConvertTest, CodeMessageAndReasonSurviveTheWire) {
  const absl::Status status =
      OverTheWire(ErrorWithReason(absl::StatusCode::kFailedPrecondition,
                                  "GENERATION_FENCED", "generation 3 ended"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "generation 3 ended");
  EXPECT_EQ(ReasonOf(status), "GENERATION_FENCED");
}

TEST(StatusConvertTest, EveryViolatedFieldSurvivesTheWire) {
  const absl::Status status = OverTheWire(
      FieldErrors({{"spec.step_count", "must be positive"},
                   {"spec.model.layer_count", "is 0; give 1 to 1000"}}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::vector<FieldViolation> fields = FieldViolationsOf(status);
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].field, "spec.step_count");
  EXPECT_EQ(fields[1].description, "is 0; give 1 to 1000");
  EXPECT_EQ(ReasonOf(status), "FIELD_INVALID");
}

TEST(StatusConvertTest, AnErrorWithoutReasonSendsItsCodeAsReason) {
  lory::v1::ErrorDetail detail;
  ASSERT_TRUE(detail.ParseFromString(
      ToGrpc(absl::NotFoundError("no such job")).error_details()));
  EXPECT_EQ(detail.reason(), "NOT_FOUND");
  EXPECT_EQ(detail.domain(), "lory");
}

TEST(StatusConvertTest, HugeErrorsAreCutToFitTheTrailers) {
  std::vector<FieldViolation> violations(1000, {"spec.field", "is wrong"});
  const grpc::Status status = ToGrpc(FieldErrors(violations));
  EXPECT_LT(status.error_message().size() + status.error_details().size(),
            6000u);
  EXPECT_GT(FieldViolationsOf(FromGrpc(status)).size(), 50u);
}

TEST(StatusConvertTest, AMessageIsNeverCutInsideACharacter) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "ä";
  const std::string sent = ToGrpc(absl::InternalError(text)).error_message();
  EXPECT_EQ(sent.substr(sent.size() - 6), "ä ...");
}

TEST(StatusConvertTest, AnErrorOfTheTransportHasNoReason) {
  const absl::Status status =
      FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "refused"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), "");
}

TEST(StatusConvertTest, GarbageInTheDetailsIsIgnored) {
  const absl::Status status = FromGrpc(
      grpc::Status(grpc::StatusCode::INTERNAL, "broken", "\xff\xff\xff"));
  EXPECT_EQ(status.message(), "broken");
  EXPECT_EQ(ReasonOf(status), "");
}

}  // namespace
}  // namespace lory::rpc
