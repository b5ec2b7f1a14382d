// The real lory-worker with fake trainers and a fake coordinator.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/error_detail.h"
#include "common/data/sample_digest.h"
#include "common/io/storage.h"
#include "common/rpc/channel.h"
#include "common/rpc/status_convert.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lory/internal/v1/trainer.grpc.pb.h"
#include "lory/v1/control.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "tests/support/fake_coordinator.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "worker/daemon/trainer_process.h"

namespace lory::daemon {
namespace {

using ::lory::testing::FakeCoordinator;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kLimitMs = 20'000;

// Whether the process behind `fd` ends in time.
bool Ends(int fd) {
  pollfd end = {fd, POLLIN, 0};
  return ::poll(&end, 1, kLimitMs) == 1;
}

struct DaemonTest : ::testing::Test {
  DaemonTest() {
    for (const char* name : {"data", "storage"}) {
      std::filesystem::create_directory(folder.At(name));
    }
    std::ofstream(folder.At("data/manifest.json")) << "{}\n";
  }

  std::unique_ptr<TrainerProcess> StartDaemon(
      const std::string& work = "work",
      const std::string& trainer = LORY_FAKE_TRAINER_BINARY) {
    auto started = TrainerProcess::Start(
        {.binary = LORY_WORKER_BINARY,
         .arguments = {"--coordinator", coordinator.address(), "--name", "a",
                       "--slots", "2", "--threads", "1", "--work",
                       folder.At(work), "--data-root", folder.At("data"),
                       "--storage-root", folder.At("storage"), "--trainer",
                       trainer, "--ready-file", folder.At("ready.json")}});
    EXPECT_OK(started);
    return *std::move(started);
  }

  Assignment Wanted(int32_t slot = 0) {
    Assignment assignment;
    assignment.set_job("jobs/tiny");
    assignment.set_slot(slot);
    assignment.set_phase(Assignment::STANDBY);
    assignment.set_dataset_manifest_path(folder.At("data/manifest.json"));
    assignment.set_job_folder(folder.At("storage/jobs/tiny"));
    v1::JobSpec& spec = *assignment.mutable_spec();
    spec.set_step_count(job_steps);
    spec.set_micro_batch_count(4);
    spec.set_micro_batch_sequences(2);
    spec.set_seed(7);
    (*spec.mutable_labels())["fake-step-ms"] = "4";
    return assignment;
  }

  std::optional<TrainerStatus> WaitForPhase(TrainerStatus::Phase phase,
                                            int32_t slot = 0,
                                            int64_t generation = 0) {
    return coordinator.WaitForTrainer([=](const TrainerStatus& status) {
      return status.phase() == phase && status.slot() == slot &&
             status.generation() >= generation;
    });
  }

  // Has the trainers of `slots` prepare `generation` and returns what they
  // are then to run.
  std::vector<Assignment> Rendezvous(const std::vector<int32_t>& slots,
                                     int64_t generation, int64_t steps) {
    std::vector<Assignment> wanted;
    for (size_t rank = 0; rank < slots.size(); ++rank) {
      Assignment& assignment = wanted.emplace_back(Wanted(slots[rank]));
      assignment.set_phase(Assignment::PREPARE);
      assignment.set_generation(generation);
      assignment.set_rank(static_cast<int32_t>(rank));
      assignment.set_world_size(static_cast<int32_t>(slots.size()));
      assignment.set_urgent(true);
    }
    coordinator.SetDesired(wanted);
    std::vector<std::string> endpoints;
    int64_t start_step = -1;
    int32_t source = -1;
    for (const Assignment& assignment : wanted) {
      const auto status =
          WaitForPhase(TrainerStatus::PREPARED, assignment.slot(), generation);
      EXPECT_TRUE(status.has_value());
      if (!status.has_value()) return {};
      endpoints.push_back(status->listen_endpoint());
      if (status->applied_step() > start_step) {
        start_step = status->applied_step();
        source = assignment.rank();
      }
    }
    for (Assignment& assignment : wanted) {
      assignment.set_phase(Assignment::RUN);
      *assignment.mutable_peer_endpoints() = {endpoints.begin(),
                                              endpoints.end()};
      assignment.set_collective_token("secret");
      assignment.set_start_step(std::max<int64_t>(start_step, 0));
      assignment.set_source_rank(source);
      v1::Round& round = *assignment.mutable_round();
      round.set_id(1);
      round.set_first_step(assignment.start_step());
      round.set_step_count(steps - assignment.start_step());
      for (size_t i = 0; i < wanted.size(); ++i) {
        round.add_shares(4 / static_cast<int32_t>(wanted.size()));
      }
    }
    return wanted;
  }

  nlohmann::json Ready() {
    const std::string path = folder.At("ready.json");
    const absl::Time end = RealClock().MonotonicNow() + absl::Seconds(20);
    while (!std::filesystem::exists(path) && RealClock().MonotonicNow() < end) {
      ::poll(nullptr, 0, 5);
    }
    return nlohmann::json::parse(*io::LocalStorage().Read(path));
  }

  std::unique_ptr<v1::WorkerControlService::Stub> Control() {
    const std::string address = Ready()["grpc"];
    return v1::WorkerControlService::NewStub(*rpc::OpenChannel(address, {}));
  }

  // Of a faultless run.
  std::string ExpectedDigest(int64_t steps) {
    std::string digest = data::InitialDigest();
    for (int64_t step = 0; step < steps; ++step) {
      digest = data::NextDigest(digest, step,
                                data::ExpectedFingerprintSum(7, 1000, step, 8));
    }
    return digest;
  }

  TemporaryFolder folder;
  FakeCoordinator coordinator;
  int64_t job_steps = 20;  // of Wanted
};

TEST_F(DaemonTest, IntroducesItselfWithWhatItOffers) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  ASSERT_TRUE(WaitForPhase(TrainerStatus::READY));
  const v1::WorkerHello hello = coordinator.hello();
  EXPECT_EQ(hello.worker_id(), "a");
  EXPECT_EQ(hello.incarnation().size(), 16u);
  EXPECT_EQ(hello.description().slot_count(), 2);
  EXPECT_EQ(hello.description().control_endpoint(),
            std::string(Ready()["grpc"]));
  EXPECT_GT(hello.description().memory_bytes(), 0);
}

TEST_F(DaemonTest, AJobTrainsToItsEndAndItsCheckpointIsCommitted) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  coordinator.SetDesired(Rendezvous({0}, 1, 20));
  const auto status = WaitForPhase(TrainerStatus::FINISHED);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->applied_step(), 20);
  EXPECT_EQ(status->progress().sample_digest(), ExpectedDigest(20));
  ASSERT_TRUE(coordinator.WaitFor(
      [&](const auto&) { return coordinator.commits().size() == 1; }));
  EXPECT_EQ(coordinator.commits()[0].sample_digest(), ExpectedDigest(20));
  EXPECT_TRUE(std::filesystem::exists(
      folder.At("storage/jobs/tiny/checkpoints/step-20.gen-1/"
                "part-0-of-1.safetensors")));
}

TEST_F(DaemonTest, ALostTrainerIsReplacedAndNoSampleWithIt) {
  job_steps = 200;  // steps are told a few times a second: many are between
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted(0), Wanted(1)});
  coordinator.SetDesired(Rendezvous({0, 1}, 1, 1000));
  const auto victim =
      coordinator.WaitForTrainer([](const TrainerStatus& status) {
        return status.slot() == 1 && status.applied_step() >= 5;
      });
  ASSERT_TRUE(victim.has_value());
  ::kill(static_cast<pid_t>(victim->process_id()), SIGKILL);
  ASSERT_TRUE(WaitForPhase(TrainerStatus::EXITED, 1));
  const auto survivor = WaitForPhase(TrainerStatus::BROKEN, 0);
  ASSERT_TRUE(survivor.has_value());
  EXPECT_EQ(survivor->failed_rank(), 1);
  coordinator.SetDesired(Rendezvous({0, 1}, 2, job_steps));
  for (const int32_t slot : {0, 1}) {
    const auto status = WaitForPhase(TrainerStatus::FINISHED, slot);
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->progress().sample_digest(), ExpectedDigest(job_steps));
  }
}

TEST_F(DaemonTest, AnExitIsReportedLongBeforeTheNextHeartbeat) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  const auto ready = WaitForPhase(TrainerStatus::READY);
  ASSERT_TRUE(ready.has_value());
  const absl::Time killed = RealClock().MonotonicNow();
  ::kill(static_cast<pid_t>(ready->process_id()), SIGKILL);
  const auto exited = WaitForPhase(TrainerStatus::EXITED);
  const absl::Duration took = RealClock().MonotonicNow() - killed;
  ASSERT_TRUE(exited.has_value());
  EXPECT_EQ(exited->incarnation(), ready->incarnation());
  EXPECT_EQ(exited->exit_status(), 128 + SIGKILL);
  EXPECT_THAT(exited->error(), HasSubstr("signal 9"));
  RecordProperty("milliseconds",
                 static_cast<int>(absl::ToInt64Milliseconds(took)));
  EXPECT_LT(took, absl::Seconds(5));  // the heartbeat is 10 s
  // Wanted still, so another one comes.
  const auto next = coordinator.WaitForTrainer([&](const auto& status) {
    return status.phase() == TrainerStatus::READY &&
           status.incarnation() != ready->incarnation();
  });
  EXPECT_TRUE(next.has_value());
}

TEST_F(DaemonTest, AKilledDaemonTakesItsTrainersWithIt) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted(0), Wanted(1)});
  std::vector<int> fds;
  for (const int32_t slot : {0, 1}) {
    const auto status = WaitForPhase(TrainerStatus::READY, slot);
    ASSERT_TRUE(status.has_value());
    fds.push_back(
        static_cast<int>(::syscall(SYS_pidfd_open, status->process_id(), 0)));
    ASSERT_GE(fds.back(), 0);
  }
  daemon->Signal(SIGKILL);
  for (const int fd : fds) {
    EXPECT_TRUE(Ends(fd));
    ::close(fd);
  }
}

TEST_F(DaemonTest, AnOutageOfTheCoordinatorLeavesTrainersAlone) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  auto run = Rendezvous({0}, 1, 1'000'000);
  run[0].mutable_spec()->set_step_count(1'000'000);
  coordinator.SetDesired(run);
  const auto before = WaitForPhase(TrainerStatus::TRAINING);
  ASSERT_TRUE(before.has_value());
  const v1::WorkerHello hello = coordinator.hello();
  coordinator.Stop();
  coordinator.Start();
  const auto after = coordinator.WaitForTrainer([&](const auto& status) {
    return coordinator.hello_count() == 2 &&
           status.applied_step() > before->applied_step() + 5;
  });
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(after->incarnation(), before->incarnation());
  EXPECT_EQ(after->generation(), 1);
  EXPECT_EQ(coordinator.hello().incarnation(), hello.incarnation());
}

TEST_F(DaemonTest, WhatIsNotWantedAnyMoreIsEnded) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  ASSERT_TRUE(WaitForPhase(TrainerStatus::READY));
  coordinator.SetDesired({});
  const auto exited = WaitForPhase(TrainerStatus::EXITED);
  ASSERT_TRUE(exited.has_value());
  EXPECT_EQ(exited->error(), "ended as ordered");
}

TEST_F(DaemonTest, PathsOutsideTheRootsFailTheJob) {
  const auto daemon = StartDaemon();
  Assignment assignment = Wanted();
  assignment.set_dataset_manifest_path("/etc/passwd");
  coordinator.SetDesired({assignment});
  const auto failed = WaitForPhase(TrainerStatus::FAILED);
  ASSERT_TRUE(failed.has_value());
  EXPECT_TRUE(failed->error_is_permanent());
  EXPECT_THAT(failed->error(), HasSubstr("/etc/passwd"));
  EXPECT_EQ(failed->process_id(), 0);
}

TEST_F(DaemonTest, ATrainerThatHasGoneIsReportedAsAnEnd) {
  const std::string trainer = folder.At("lory-trainer");
  std::filesystem::create_symlink(LORY_FAKE_TRAINER_BINARY, trainer);
  const auto daemon = StartDaemon("work", trainer);
  // It has looked at its flags by now.
  ASSERT_TRUE(coordinator.WaitFor(
      [this](const auto&) { return coordinator.hello_count() > 0; }));
  std::filesystem::remove(trainer);
  coordinator.SetDesired({Wanted()});
  const auto exited = WaitForPhase(TrainerStatus::EXITED);
  ASSERT_TRUE(exited.has_value());
  EXPECT_THAT(exited->error(), HasSubstr(trainer));
}

TEST_F(DaemonTest, LastWordsComeWithTheEnd) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  auto run = Rendezvous({0}, 1, 20);
  (*run[0].mutable_spec()->mutable_labels())["fake-exit-at-step"] = "3";
  coordinator.SetDesired(run);
  const auto exited = WaitForPhase(TrainerStatus::EXITED);
  ASSERT_TRUE(exited.has_value());
  EXPECT_EQ(exited->exit_status(), 3);
  EXPECT_EQ(exited->applied_step(), 3);
  EXPECT_THAT(exited->error(), HasSubstr("told to exit at step 3"));
}

TEST_F(DaemonTest, ATrainerThatStandsStillIsKilled) {
  v1::WorkerSession terms;
  terms.mutable_hang_limit()->set_seconds(1);
  coordinator.SetTerms(terms);
  const auto daemon = StartDaemon();
  // Its process lives and its stream is open, but nothing gets done.
  coordinator.SetDesired({Wanted()});
  auto run = Rendezvous({0}, 1, 20);
  (*run[0].mutable_spec()->mutable_labels())["fake-hang-at-step"] = "3";
  coordinator.SetDesired(run);
  const auto exited = WaitForPhase(TrainerStatus::EXITED);
  ASSERT_TRUE(exited.has_value());
  EXPECT_THAT(exited->error(), HasSubstr("no progress for 1s"));
}

TEST_F(DaemonTest, AFencedPartIsDeleted) {
  coordinator.SetCommit([](const auto&) -> absl::StatusOr<v1::Checkpoint> {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition,
                           "GENERATION_FENCED", "generation 1 has ended");
  });
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  coordinator.SetDesired(Rendezvous({0}, 1, 20));
  ASSERT_TRUE(WaitForPhase(TrainerStatus::FINISHED));
  ASSERT_TRUE(coordinator.WaitFor(
      [&](const auto&) { return !coordinator.commits().empty(); }));
  const std::string part = folder.At(
      "storage/jobs/tiny/checkpoints/step-20.gen-1/"
      "part-0-of-1.safetensors");
  const absl::Time end = RealClock().MonotonicNow() + absl::Seconds(20);
  while (std::filesystem::exists(part) && RealClock().MonotonicNow() < end) {
    ::poll(nullptr, 0, 5);
  }
  EXPECT_FALSE(std::filesystem::exists(part));
}

TEST_F(DaemonTest, LogsAreStreamedWhileTheyGrowAndEndWithTheJob) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  ASSERT_TRUE(WaitForPhase(TrainerStatus::READY));
  const auto control = Control();
  grpc::ClientContext context;
  v1::StreamJobLogsRequest request;
  request.set_name("jobs/tiny");
  request.set_follow(true);
  const auto reader = control->StreamLogs(&context, request);
  v1::LogChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.worker(), "workers/a");
  EXPECT_THAT(chunk.text(), HasSubstr("fake trainer ready"));
  EXPECT_TRUE(absl::EndsWith(chunk.text(), "\n"));
  coordinator.SetDesired({});
  while (reader->Read(&chunk)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(DaemonTest, LogsOfAnUnknownJobAreNotFound) {
  const auto daemon = StartDaemon();
  const auto control = Control();
  for (const auto& [name, code] :
       {std::pair("jobs/none", grpc::StatusCode::NOT_FOUND),
        std::pair("jobs/../../etc", grpc::StatusCode::INVALID_ARGUMENT)}) {
    grpc::ClientContext context;
    v1::StreamJobLogsRequest request;
    request.set_name(name);
    v1::LogChunk chunk;
    const auto reader = control->StreamLogs(&context, request);
    EXPECT_FALSE(reader->Read(&chunk));
    EXPECT_EQ(reader->Finish().error_code(), code);
  }
}

TEST_F(DaemonTest, StatusShowsTrainersAndProfileSaysWhatIsMissing) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  ASSERT_TRUE(WaitForPhase(TrainerStatus::READY));
  const auto control = Control();
  grpc::ClientContext context;
  v1::Worker worker;
  ASSERT_TRUE(control->GetStatus(&context, {}, &worker).ok());
  EXPECT_EQ(worker.name(), "workers/a");
  EXPECT_EQ(worker.state(), v1::Worker::READY);
  EXPECT_EQ(worker.trainers_size(), 1);
  grpc::ClientContext profile_context;
  v1::ProfileResponse profile;
  EXPECT_THAT(
      rpc::FromGrpc(control->Profile(&profile_context, {}, &profile)),
      StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("this release")));
}

TEST_F(DaemonTest, ANameThatIsTakenEndsTheDaemonWithItsOwnStatus) {
  coordinator.SetRefusal(ErrorWithReason(absl::StatusCode::kAlreadyExists,
                                         "WORKER_NAME_TAKEN",
                                         "worker a attends already"));
  const auto daemon = StartDaemon();
  ASSERT_TRUE(Ends(daemon->end_fd()));
  EXPECT_THAT(daemon->ReadOutput(), HasSubstr("its own --name"));
  EXPECT_EQ(daemon->Wait().exit_status, 3);
}

TEST_F(DaemonTest, TwoDaemonsCannotShareAWorkFolder) {
  const auto first = StartDaemon();
  (void)Ready();
  const auto second = StartDaemon();
  ASSERT_TRUE(Ends(second->end_fd()));
  EXPECT_THAT(second->ReadOutput(), HasSubstr("give each its own --work"));
  EXPECT_EQ(second->Wait().exit_status, 1);
}

TEST_F(DaemonTest, TermEndsTrainersFirstAndTellsTheCoordinator) {
  const auto daemon = StartDaemon();
  coordinator.SetDesired({Wanted()});
  ASSERT_TRUE(WaitForPhase(TrainerStatus::READY));
  daemon->Signal(SIGTERM);
  ASSERT_TRUE(WaitForPhase(TrainerStatus::EXITED));
  ASSERT_TRUE(Ends(daemon->end_fd()));
  EXPECT_EQ(daemon->Wait().exit_status, 0);
}

TEST_F(DaemonTest, StrangersOnTheSocketAreRefused) {
  const auto daemon = StartDaemon();
  (void)Ready();
  LORY_ASSERT_OK_AND_ASSIGN(
      auto channel,
      rpc::OpenChannel("unix:" + (folder.At("work/run/trainers.sock")), {}));
  grpc::ClientContext context;
  const auto stream =
      internal::v1::TrainerService::NewStub(channel)->Attend(&context);
  internal::v1::TrainerReport report;
  report.mutable_status()->set_job("jobs/tiny");
  report.mutable_status()->set_incarnation("guessed");
  stream->Write(report);
  internal::v1::TrainerOrder order;
  EXPECT_FALSE(stream->Read(&order));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(std::filesystem::status(folder.At("work/run")).permissions(),
            std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace lory::daemon
