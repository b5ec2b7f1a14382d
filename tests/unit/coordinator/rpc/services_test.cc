#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/coordinator/rpc/served_fleet.h"

// What a client sees of the coordinator's services, over a real channel.
namespace lory::coordinator {
namespace {

using ::lory::testing::Fleet;
using ::lory::testing::StatusIs;
using ::lory::v1::CheckpointService;
using ::lory::v1::DatasetService;
using ::lory::v1::Job;
using ::lory::v1::JobService;
using ::lory::v1::ServerInfoService;
using ::lory::v1::WorkerAdminService;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

struct ServicesTest : ::testing::Test, ServedFleet {
  absl::Status Create(const lory::v1::CreateJobRequest& request,
                      Job* job = nullptr) {
    return Call(&JobService::Stub::CreateJob, *job_stub, request, job);
  }

  lory::v1::CreateJobRequest RequestFor(const std::string& id) {
    lory::v1::CreateJobRequest request;
    request.set_job_id(id);
    *request.mutable_spec() = Fleet::Spec(1, 1);
    return request;
  }

  std::unique_ptr<JobService::Stub> job_stub = Stub<JobService>();
};

TEST_F(ServicesTest, EveryFieldAtFaultIsNamedByItsPath) {
  auto request = RequestFor("tiny");
  request.mutable_spec()->mutable_model()->set_width(30);
  request.mutable_spec()->set_step_count(0);
  const absl::Status status = Create(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(status), "FIELD_INVALID");
  const auto violations = FieldViolationsOf(status);
  EXPECT_THAT(
      violations,
      AllOf(Contains(Field(&FieldViolation::field, "spec.step_count")),
            Contains(Field(&FieldViolation::field, HasSubstr("spec.model.")))));
  for (const FieldViolation& violation : violations) {
    EXPECT_NE(violation.description, "") << violation.field;
    EXPECT_THAT(status.message(), HasSubstr(violation.field));
  }
  EXPECT_EQ(observer.count("CreateJob", grpc::INVALID_ARGUMENT), 1);
}

TEST_F(ServicesTest, ARepeatedRequestIsAnsweredAlikeAndDoneOnce) {
  auto request = RequestFor("");  // the service chooses a name
  request.set_request_id("8c4f1b9e-0000-4000-8000-000000000001");
  Job first, second;
  ASSERT_OK(Create(request, &first));
  ASSERT_OK(Create(request, &second));
  EXPECT_EQ(first.name(), second.name());
  lory::v1::ListJobsResponse listed;
  ASSERT_OK(Call(&JobService::Stub::ListJobs, *job_stub,
                 lory::v1::ListJobsRequest(), &listed));
  EXPECT_EQ(listed.jobs_size(), 1);
  request.set_job_id("another");
  const absl::Status reused = Create(request);
  EXPECT_EQ(reused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(reused), "REQUEST_ID_REUSED");
}

TEST_F(ServicesTest, WhatComesLaterSaysSo) {
  auto request = RequestFor("tiny");
  request.mutable_spec()->set_numerics(lory::v1::JobSpec::EXACT);
  const absl::Status status = Create(request);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnimplemented,
                               HasSubstr("comes with a later release")));
  EXPECT_EQ(ReasonOf(status), "NUMERICS_UNIMPLEMENTED");
}

TEST_F(ServicesTest, ListsComeInPages) {
  for (const char* id : {"one", "two", "three"}) {
    ASSERT_OK(Create(RequestFor(id)));
  }
  lory::v1::ListJobsRequest request;
  request.set_page_size(2);
  lory::v1::ListJobsResponse page;
  ASSERT_OK(Call(&JobService::Stub::ListJobs, *job_stub, request, &page));
  ASSERT_EQ(page.jobs_size(), 2);
  EXPECT_EQ(page.jobs(0).name(), "jobs/three");
  request.set_page_token(page.next_page_token());
  ASSERT_OK(Call(&JobService::Stub::ListJobs, *job_stub, request, &page));
  ASSERT_EQ(page.jobs_size(), 1);
  EXPECT_EQ(page.jobs(0).name(), "jobs/one");
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(ServicesTest, AForeignPageTokenIsAFieldAtFault) {
  auto workers = Stub<WorkerAdminService>();
  lory::v1::ListWorkersRequest request;
  request.set_page_token("bm90IG91cnM");
  absl::Status status =
      Call(&WorkerAdminService::Stub::ListWorkers, *workers, request, {});
  EXPECT_THAT(FieldViolationsOf(status),
              ElementsAre(Field(&FieldViolation::field, "page_token")));
  request.clear_page_token();
  request.set_page_size(-1);
  status = Call(&WorkerAdminService::Stub::ListWorkers, *workers, request, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FieldViolationsOf(status),
              ElementsAre(Field(&FieldViolation::field, "page_size")));
}

TEST_F(ServicesTest, UnknownNamesAreNotFoundAndSayWhereToLook) {
  lory::v1::GetJobRequest job;
  job.set_name("jobs/none");
  absl::Status status = Call(&JobService::Stub::GetJob, *job_stub, job, {});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr("`loryctl job list`")));
  EXPECT_EQ(ReasonOf(status), "JOB_NOT_FOUND");
  lory::v1::JobVerbRequest verb;
  verb.set_name("jobs/none");
  status = Call(&JobService::Stub::PauseJob, *job_stub, verb, {});
  EXPECT_EQ(ReasonOf(status), "JOB_NOT_FOUND");

  auto workers = Stub<WorkerAdminService>();
  lory::v1::WorkerVerbRequest worker;
  worker.set_name("workers/none");
  status = Call(&WorkerAdminService::Stub::DrainWorker, *workers, worker, {});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr("`loryctl worker list`")));
  EXPECT_EQ(ReasonOf(status), "WORKER_NOT_FOUND");
  status = Call(&WorkerAdminService::Stub::DeleteWorker, *workers, worker, {});
  EXPECT_EQ(ReasonOf(status), "WORKER_NOT_FOUND");
  EXPECT_EQ(observer.count("DeleteWorker", grpc::NOT_FOUND), 1);

  auto datasets_stub = Stub<DatasetService>();
  lory::v1::GetDatasetRequest dataset;
  dataset.set_name("datasets/none");
  status = Call(&DatasetService::Stub::GetDataset, *datasets_stub, dataset, {});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr("`loryctl dataset list`")));
  EXPECT_EQ(ReasonOf(status), "DATASET_NOT_FOUND");

  auto checkpoint_stub = Stub<CheckpointService>();
  lory::v1::GetCheckpointRequest checkpoint;
  checkpoint.set_name("jobs/none/checkpoints/5");
  status = Call(&CheckpointService::Stub::GetCheckpoint, *checkpoint_stub,
                checkpoint, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(status), "CHECKPOINT_NOT_FOUND");
}

TEST_F(ServicesTest, AStreamOfAnUnknownJobEndsWithTheReason) {
  lory::v1::GetJobRequest request;
  request.set_name("jobs/none");
  grpc::ClientContext context;
  const auto stream = job_stub->WatchJob(&context, request);
  Job job;
  EXPECT_FALSE(stream->Read(&job));
  EXPECT_EQ(ReasonOf(rpc::FromGrpc(stream->Finish())), "JOB_NOT_FOUND");
  EXPECT_EQ(observer.count("WatchJob", grpc::NOT_FOUND), 1);
}

TEST_F(ServicesTest, AWatcherIsToldOfTheEndAndLetGo) {
  ASSERT_OK(Create(RequestFor("tiny")));
  lory::v1::GetJobRequest request;
  request.set_name("jobs/tiny");
  grpc::ClientContext context;
  const auto stream = job_stub->WatchJob(&context, request);
  Job job;
  ASSERT_TRUE(stream->Read(&job));
  EXPECT_EQ(job.state(), Job::QUEUED);
  lory::v1::JobVerbRequest verb;
  verb.set_name("jobs/tiny");
  ASSERT_OK(Call(&JobService::Stub::CancelJob, *job_stub, verb, {}));
  ASSERT_TRUE(stream->Read(&job));
  EXPECT_EQ(job.state(), Job::CANCELLED);
  EXPECT_FALSE(stream->Read(&job));
  EXPECT_OK(rpc::FromGrpc(stream->Finish()));
}

// Why a job's log is not to be had.
absl::Status LogsOf(const std::string& name, JobService::Stub& stub) {
  lory::v1::StreamJobLogsRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  const auto stream = stub.StreamJobLogs(&context, request);
  lory::v1::LogChunk chunk;
  EXPECT_FALSE(stream->Read(&chunk));
  return rpc::FromGrpc(stream->Finish());
}

TEST_F(ServicesTest, MoreStreamsThanItServesAreRefusedWithAReason) {
  ASSERT_OK(Create(RequestFor("tiny")));
  lory::v1::GetJobRequest request;
  request.set_name("jobs/tiny");
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<Job>>> watches;
  Job job;
  for (int i = 0; i < 3; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    watches.push_back(job_stub->WatchJob(contexts.back().get(), request));
    ASSERT_TRUE(watches.back()->Read(&job));
  }
  const absl::Status refused = LogsOf("jobs/tiny", *job_stub);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "TOO_MANY_STREAMS");
  for (const auto& watch : contexts) watch->TryCancel();
  for (const auto& watch : watches) {
    EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

TEST_F(ServicesTest, WhoeverGetsNoLogIsToldWhatBecameOfTheJob) {
  ASSERT_OK(Create(RequestFor("tiny")));
  lory::v1::JobVerbRequest cancel;
  cancel.set_name("jobs/tiny");
  ASSERT_OK(fleet.core().CancelJob(cancel));
  const absl::Status none = LogsOf("jobs/tiny", *job_stub);
  EXPECT_EQ(ReasonOf(none), "LOG_UNREACHABLE");
  EXPECT_THAT(none.message(),
              ::testing::HasSubstr("it is CANCELLED: cancelled on request"));
}

TEST_F(ServicesTest, WhatIsWrongInTheStateIsSaid) {
  ASSERT_OK(Create(RequestFor("tiny")));
  EXPECT_EQ(ReasonOf(Create(RequestFor("tiny"))), "JOB_EXISTS");
  lory::v1::JobVerbRequest verb;
  verb.set_name("jobs/tiny");
  const absl::Status status =
      Call(&JobService::Stub::ResumeJob, *job_stub, verb, {});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("jobs/tiny is QUEUED")));
  EXPECT_EQ(ReasonOf(status), "JOB_STATE");
  ASSERT_OK(Call(&JobService::Stub::CancelJob, *job_stub, verb, {}));
  EXPECT_THAT(Call(&JobService::Stub::ResumeJob, *job_stub, verb, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("has no checkpoint to go on from")));
}

TEST_F(ServicesTest, ItSaysItsVersionAndItsTime) {
  auto stub = Stub<ServerInfoService>();
  lory::v1::ServerInfo info;
  ASSERT_OK(Call(&ServerInfoService::Stub::GetServerInfo, *stub,
                 lory::v1::GetServerInfoRequest(), &info));
  EXPECT_EQ(info.version(), LORY_VERSION);
  EXPECT_EQ(info.time().seconds(),
            absl::ToUnixSeconds(fleet.clock().WallNow()));
}

}  // namespace
}  // namespace lory::coordinator
