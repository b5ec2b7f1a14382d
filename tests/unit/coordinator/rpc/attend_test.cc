#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/coordinator/rpc/served_fleet.h"

// Daemons as the coordinator's services meet them: Attend and commits over a
// real channel.
namespace lory::coordinator {
namespace {

using ::lory::testing::Fleet;
using ::lory::v1::AttendRequest;
using ::lory::v1::AttendResponse;
using ::lory::v1::TrainerStatus;
using ::lory::v1::Worker;
using ::lory::v1::WorkerService;
using ::testing::ElementsAre;
using ::testing::Field;

using Stream =
    std::unique_ptr<grpc::ClientReaderWriter<AttendRequest, AttendResponse>>;

AttendRequest Hello(const std::string& incarnation) {
  AttendRequest request;
  auto* hello = request.mutable_hello();
  hello->set_worker_id("a");
  hello->set_incarnation(incarnation);
  hello->mutable_description()->set_slot_count(1);
  return request;
}

struct AttendTest : ::testing::Test, ServedFleet {
  // Opens a stream with `hello` and takes the terms.
  Stream Attend(grpc::ClientContext& context, const AttendRequest& hello) {
    Stream stream = stub->Attend(&context);
    EXPECT_TRUE(stream->Write(hello));
    AttendResponse response;
    EXPECT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.session().lease().seconds(), 5);
    return stream;
  }

  absl::Status EndOf(Stream& stream) {
    AttendResponse response;
    while (stream->Read(&response)) {
    }
    return rpc::FromGrpc(stream->Finish());
  }

  void Leave(grpc::ClientContext& context, Stream& stream) {
    context.TryCancel();
    EXPECT_EQ(EndOf(stream).code(), absl::StatusCode::kCancelled);
  }

  std::unique_ptr<WorkerService::Stub> stub = Stub<WorkerService>();
};

TEST_F(AttendTest, AHelloIsCheckedFieldByField) {
  AttendRequest hello = Hello("one");
  hello.mutable_hello()->mutable_description()->set_slot_count(0);
  grpc::ClientContext context;
  Stream stream = stub->Attend(&context);
  ASSERT_TRUE(stream->Write(hello));
  const absl::Status status = EndOf(stream);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FieldViolationsOf(status),
              ElementsAre(Field(&FieldViolation::field,
                                "hello.description.slot_count")));
}

TEST_F(AttendTest, TheNewestStreamOfADaemonCounts) {
  grpc::ClientContext first_context, second_context;
  Stream first = Attend(first_context, Hello("one"));
  Stream second = Attend(second_context, Hello("one"));
  const absl::Status status = EndOf(first);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(status), "SESSION_SUPERSEDED");
  Leave(second_context, second);
}

TEST_F(AttendTest, ALivingDaemonKeepsItsName) {
  grpc::ClientContext context, twin_context;
  Stream stream = Attend(context, Hello("one"));
  Stream twin = stub->Attend(&twin_context);
  ASSERT_TRUE(twin->Write(Hello("two")));
  const absl::Status status = EndOf(twin);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(status), "WORKER_NAME_TAKEN");
  Leave(context, stream);
}

TEST_F(AttendTest, NothingIsWantedOfADaemonWhoseTrainersAreUnknown) {
  ASSERT_OK(fleet.Submit("tiny", Fleet::Spec(1, 1)));
  grpc::ClientContext context;
  Stream stream = Attend(context, Hello("one"));  // names no trainers
  ASSERT_TRUE(stream->Write(AttendRequest()));    // says that it has none
  AttendResponse response;
  ASSERT_TRUE(stream->Read(&response));
  // The first it is sent: there was none before.
  EXPECT_EQ(response.desired().version(), 1);
  ASSERT_EQ(response.desired().assignments_size(), 1);
  EXPECT_EQ(response.desired().assignments(0).job(), "jobs/tiny");
  EXPECT_EQ(response.desired().assignments(0).phase(),
            lory::v1::Assignment::STANDBY);
  Leave(context, stream);
}

TEST_F(AttendTest, ACoordinatorThatStopsSaysSo) {
  grpc::ClientContext context;
  Stream stream = Attend(context, Hello("one"));
  fleet.core().Shutdown();
  const absl::Status status = EndOf(stream);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), "COORDINATOR_STOPS");
}

TEST_F(AttendTest, APartOfAnEndedGenerationIsFenced) {
  ASSERT_OK(fleet.Submit("tiny", Fleet::Spec(1, 1)));
  lory::v1::CommitCheckpointRequest request;
  request.set_job("jobs/tiny");
  request.set_step(5);
  request.set_generation(1);
  request.set_folder("step-5.gen-1");
  request.set_sample_digest(std::string(32, 'd'));
  request.mutable_part()->set_count(1);
  request.mutable_part()->set_file("part-0-of-1.safetensors");
  request.mutable_part()->set_size_bytes(8);
  request.mutable_part()->set_sha256(std::string(64, '0'));
  absl::Status status =
      Call(&WorkerService::Stub::CommitCheckpoint, *stub, request, {});
  EXPECT_EQ(ReasonOf(status), "GENERATION_FENCED") << status;
  request.set_job("jobs/none");
  status = Call(&WorkerService::Stub::CommitCheckpoint, *stub, request, {});
  EXPECT_EQ(ReasonOf(status), "JOB_NOT_FOUND") << status;
}

}  // namespace
}  // namespace lory::coordinator
