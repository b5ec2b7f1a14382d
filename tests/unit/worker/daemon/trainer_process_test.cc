#include "worker/daemon/trainer_process.h"

#include <poll.h>
#include <signal.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::daemon {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

constexpr int kLimitMs = 20'000;

absl::StatusOr<std::unique_ptr<TrainerProcess>> Shell(
    const std::string& script) {
  return TrainerProcess::Start({.binary = "/bin/sh",
                                .arguments = {"-c", script},
                                .environment = {{"LORY_TEST", "here"}}});
}

// Waits for the end and returns all output.
std::string OutputOf(TrainerProcess& process) {
  std::string output;
  pollfd end = {process.end_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&end, 1, kLimitMs), 1);
  for (std::string piece = process.ReadOutput(); !piece.empty();
       piece = process.ReadOutput()) {
    output += piece;
  }
  return output;
}

TEST(TrainerProcessTest, OutputAndExitStatusComeBack) {
  LORY_ASSERT_OK_AND_ASSIGN(auto process,
                            Shell("echo out $LORY_TEST; echo err >&2; exit 3"));
  EXPECT_EQ(OutputOf(*process), "out here\nerr\n");
  const ProcessEnd end = process->Wait();
  EXPECT_EQ(end.exit_status, 3);
  EXPECT_EQ(end.text, "exited with status 3");
}

TEST(TrainerProcessTest, ASignalIsToldApart) {
  LORY_ASSERT_OK_AND_ASSIGN(auto process, Shell("exec sleep 1000"));
  process->Signal(SIGKILL);
  EXPECT_EQ(OutputOf(*process), "");
  const ProcessEnd end = process->Wait();
  EXPECT_EQ(end.exit_status, 128 + SIGKILL);
  EXPECT_THAT(end.text, HasSubstr("signal 9"));
}

TEST(TrainerProcessTest, NothingOfOursIsInherited) {
  LORY_ASSERT_OK_AND_ASSIGN(auto process,
                            Shell("ls /proc/self/fd | wc -l; "
                                  "grep SigBlk /proc/self/status"));
  // 0, 1, 2 and the one that lists them.
  EXPECT_EQ(OutputOf(*process), "4\nSigBlk:\t0000000000000000\n");
  EXPECT_EQ(process->Wait().exit_status, 0);
}

TEST(TrainerProcessTest, AMissingBinaryIsNamed) {
  EXPECT_THAT(
      TrainerProcess::Start({.binary = "/none/lory-trainer"}),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none/lory-trainer")));
}

TEST(TrainerProcessTest, WhoIsForgottenIsKilled) {
  int64_t pid = 0;
  {
    LORY_ASSERT_OK_AND_ASSIGN(auto process, Shell("exec sleep 1000"));
    pid = process->pid();
    EXPECT_EQ(::kill(static_cast<pid_t>(pid), 0), 0);
  }
  EXPECT_NE(::kill(static_cast<pid_t>(pid), 0), 0);
}

}  // namespace
}  // namespace lory::daemon
