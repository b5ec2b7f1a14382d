#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// Labels are a map, which protobuf writes in another order every time: nothing
// may take that for a change.
namespace lory::testing {
namespace {

using ::lory::v1::Job;

lory::v1::JobSpec Labelled() {
  lory::v1::JobSpec spec = Fleet::Spec(1, 1, 100);
  auto& labels = *spec.mutable_labels();
  labels["team"] = "language";
  labels["budget"] = "night";
  labels["paper"] = "lory";
  return spec;
}

TEST(Labels, ARepeatedCallIsAnsweredAlike) {
  Fleet fleet;
  for (int i = 0; i < 50; ++i) {
    lory::v1::CreateJobRequest request;
    request.set_job_id("tiny");
    request.set_request_id("8c4f1b9e-0000-4000-8000-000000000001");
    *request.mutable_spec() = Labelled();
    ASSERT_OK(fleet.core().CreateJob(request));
  }
}

TEST(Labels, ADaemonIsToldOnlyWhatChanged) {
  SetLogOptions(LogLevel::kError, LogFormat::kText);
  Fleet fleet;
  fleet.AddWorker("w0");
  ASSERT_OK(fleet.Submit("tiny", Labelled()));
  ASSERT_TRUE(fleet.RunUntilState("tiny", Job::RUNNING));
  FleetDaemon& daemon = fleet.daemons()["w0"];
  fleet.MoveDaemon(daemon);
  const int64_t version = daemon.desired.version();
  for (int i = 0; i < 50; ++i) fleet.core().Tick();
  fleet.MoveDaemon(daemon);
  EXPECT_EQ(daemon.desired.version(), version);
  SetLogOptions(LogLevel::kInfo, LogFormat::kText);
}

}  // namespace
}  // namespace lory::testing
