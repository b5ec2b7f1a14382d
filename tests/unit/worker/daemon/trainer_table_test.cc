#include "worker/daemon/trainer_table.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace lory::daemon {
namespace {

using ::lory::internal::v1::TrainerReport;
using ::lory::testing::FakeClock;
using ::lory::testing::StatusIs;
using ::lory::v1::Assignment;
using ::lory::v1::DesiredState;
using ::lory::v1::TrainerStatus;
using ::testing::HasSubstr;

struct TrainerTableTest : ::testing::Test {
  void Want(Assignment::Phase phase, int64_t generation = 0,
            const std::string& job = "jobs/tiny") {
    DesiredState desired;
    Assignment& assignment = *desired.add_assignments();
    assignment.set_job(job);
    assignment.set_phase(phase);
    assignment.set_generation(generation);
    table.SetDesired(desired);
  }

  // Starts what is to be started; the new trainer's incarnation.
  std::string StartOne() {
    const ProcessWork work = table.TakeWork();
    EXPECT_EQ(work.starts.size(), 1u);
    if (work.starts.empty()) return "";
    table.Started(work.starts[0].incarnation, 4711);
    return work.starts[0].incarnation;
  }

  void TellCoordinator() { table.ReportSent(table.BuildReport().version); }

  TrainerReport ReportOf(const std::string& incarnation,
                         TrainerStatus::Phase phase, int64_t generation = 0,
                         int64_t counter = 1) {
    TrainerReport report;
    report.set_progress_counter(counter);
    report.mutable_status()->set_job("jobs/tiny");
    report.mutable_status()->set_incarnation(incarnation);
    report.mutable_status()->set_phase(phase);
    report.mutable_status()->set_generation(generation);
    return report;
  }

  std::vector<TrainerStatus> Reported() { return table.BuildReport().trainers; }

  FakeClock clock;
  int wakes = 0;
  TrainerTable table{{}, clock, [this] { ++wakes; }};
};

TEST_F(TrainerTableTest, AStartIsAskedForOnce) {
  Want(Assignment::STANDBY);
  EXPECT_GT(wakes, 0);
  const std::string incarnation = StartOne();
  EXPECT_TRUE(table.TakeWork().starts.empty());
  ASSERT_EQ(Reported().size(), 1u);
  EXPECT_EQ(Reported()[0].phase(), TrainerStatus::STARTING);
  EXPECT_EQ(Reported()[0].incarnation(), incarnation);
  EXPECT_EQ(Reported()[0].process_id(), 4711);
  EXPECT_EQ(Reported()[0].applied_step(), -1);
}

TEST_F(TrainerTableTest, OnlyTrainersOfOursMayConnect) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  TrainerStatus status = ReportOf(incarnation, TrainerStatus::READY).status();
  EXPECT_OK(table.Connect(status));
  status.set_slot(1);
  EXPECT_THAT(table.Connect(status),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("was started by this daemon")));
  status.set_slot(0);
  status.set_incarnation("guessed");
  EXPECT_THAT(table.Connect(status),
              StatusIs(absl::StatusCode::kPermissionDenied, ::testing::_));
}

TEST_F(TrainerTableTest, ANewerStreamSupersedesTheOlderOne) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  const TrainerReport report = ReportOf(incarnation, TrainerStatus::READY);
  LORY_ASSERT_OK_AND_ASSIGN(const int64_t first,
                            table.Connect(report.status()));
  LORY_ASSERT_OK_AND_ASSIGN(const int64_t second,
                            table.Connect(report.status()));
  EXPECT_FALSE(table.WaitForOrder(incarnation, first, 0, absl::ZeroDuration()));
  EXPECT_TRUE(table.WaitForOrder(incarnation, second, 0, absl::ZeroDuration()));
  table.Reported(incarnation, first, report);
  EXPECT_EQ(Reported()[0].phase(), TrainerStatus::STARTING);
  table.Reported(incarnation, second, report);
  EXPECT_EQ(Reported()[0].phase(), TrainerStatus::READY);
}

TEST_F(TrainerTableTest, RunIsHeldBackUntilTheGenerationIsPrepared) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  LORY_ASSERT_OK_AND_ASSIGN(
      const int64_t stream,
      table.Connect(ReportOf(incarnation, TrainerStatus::READY).status()));
  Want(Assignment::RUN, 3);
  auto order = table.WaitForOrder(incarnation, stream, 0, absl::ZeroDuration());
  EXPECT_EQ(order->order.assignment().phase(), Assignment::STANDBY);
  const int64_t seen = order->number;
  table.Reported(incarnation, stream,
                 ReportOf(incarnation, TrainerStatus::PREPARED, 3));
  order = table.WaitForOrder(incarnation, stream, seen, absl::ZeroDuration());
  EXPECT_GT(order->number, seen);
  EXPECT_EQ(order->order.assignment().phase(), Assignment::RUN);
}

TEST_F(TrainerTableTest, AnEndIsToldBeforeTheSuccessorStarts) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  EXPECT_EQ(
      table.Ended(incarnation, 137, "was ended by signal 9", EndCause::kSignal),
      EndCause::kSignal);
  EXPECT_TRUE(table.TakeWork().starts.empty());
  ASSERT_EQ(Reported().size(), 1u);
  EXPECT_EQ(Reported()[0].phase(), TrainerStatus::EXITED);
  EXPECT_EQ(Reported()[0].exit_status(), 137);
  EXPECT_EQ(Reported()[0].error(), "was ended by signal 9");
  TellCoordinator();
  EXPECT_NE(StartOne(), incarnation);
}

TEST_F(TrainerTableTest, AnEndIsToldForSomeSecondsAndAgainAfterABreak) {
  Want(Assignment::STANDBY);
  table.Ended(StartOne(), 1, "exited with status 1", EndCause::kExit);
  Want(Assignment::STANDBY, 0, "jobs/other");
  TellCoordinator();
  clock.Advance(absl::Seconds(2));
  EXPECT_EQ(Reported().size(), 1u);
  table.StreamBroken();
  clock.Advance(absl::Seconds(60));
  EXPECT_EQ(Reported().size(), 1u);
  TellCoordinator();
  clock.Advance(absl::Seconds(4));
  EXPECT_TRUE(Reported().empty());
}

TEST_F(TrainerTableTest, OnlyTheNewestEndOfASlotIsTold) {
  Want(Assignment::STANDBY);
  table.Ended(StartOne(), 1, "exited with status 1", EndCause::kExit);
  TellCoordinator();
  const std::string second = StartOne();
  table.Ended(second, 1, "exited with status 1", EndCause::kExit);
  ASSERT_EQ(Reported().size(), 1u);
  EXPECT_EQ(Reported()[0].incarnation(), second);
}

TEST_F(TrainerTableTest, RestartsThatGetNothingDoneComeSlower) {
  Want(Assignment::STANDBY);
  const auto fail = [&](const std::string& incarnation) {
    table.Ended(incarnation, 1, "exited with status 1", EndCause::kExit);
    TellCoordinator();
  };
  fail(StartOne());
  fail(StartOne());  // the first restart was at once
  const ProcessWork work = table.TakeWork();
  EXPECT_TRUE(work.starts.empty());
  EXPECT_EQ(work.next, clock.MonotonicNow() + absl::Milliseconds(250));
  clock.Advance(absl::Milliseconds(250));
  fail(StartOne());
  EXPECT_EQ(table.TakeWork().next,
            clock.MonotonicNow() + absl::Milliseconds(500));
}

TEST_F(TrainerTableTest, WhoIsNotWantedGetsTermThenKill) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  table.SetDesired({});
  ProcessWork work = table.TakeWork();
  ASSERT_EQ(work.signals.size(), 1u);
  EXPECT_EQ(work.signals[0].signal, SIGTERM);
  EXPECT_EQ(work.next, clock.MonotonicNow() + absl::Seconds(5));
  EXPECT_TRUE(table.TakeWork().signals.empty());
  clock.Advance(absl::Seconds(5));
  work = table.TakeWork();
  ASSERT_EQ(work.signals.size(), 1u);
  EXPECT_EQ(work.signals[0].signal, SIGKILL);
  EXPECT_EQ(table.Ended(incarnation, 137, "x", EndCause::kSignal),
            EndCause::kOrdered);
  EXPECT_EQ(Reported()[0].error(), "ended as ordered");
  EXPECT_TRUE(table.empty());
}

TEST_F(TrainerTableTest, ATrainerThatStandsStillIsKilledAtOnce) {
  lory::v1::WorkerSession terms;
  terms.mutable_hang_limit()->set_seconds(30);
  table.SetTerms(terms);
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  LORY_ASSERT_OK_AND_ASSIGN(
      const int64_t stream,
      table.Connect(ReportOf(incarnation, TrainerStatus::READY).status()));
  clock.Advance(absl::Seconds(20));
  table.Reported(incarnation, stream,
                 ReportOf(incarnation, TrainerStatus::READY, 0, 2));
  clock.Advance(absl::Seconds(20));
  // Reports that say nothing new are no progress.
  table.Reported(incarnation, stream,
                 ReportOf(incarnation, TrainerStatus::READY, 0, 2));
  EXPECT_TRUE(table.TakeWork().signals.empty());
  clock.Advance(absl::Seconds(10));
  const ProcessWork work = table.TakeWork();
  ASSERT_EQ(work.signals.size(), 1u);
  EXPECT_EQ(work.signals[0].signal, SIGKILL);
  EXPECT_EQ(table.Ended(incarnation, 137, "signal", EndCause::kSignal),
            EndCause::kHang);
  EXPECT_THAT(Reported()[0].error(), HasSubstr("no progress for 30s"));
}

TEST_F(TrainerTableTest, ARefusedAssignmentFailsTheJobAndIsNotTriedAgain) {
  Want(Assignment::STANDBY);
  const ProcessWork work = table.TakeWork();
  table.Refused(work.starts[0].incarnation, "not beneath");
  TellCoordinator();
  EXPECT_TRUE(table.TakeWork().starts.empty());
  EXPECT_EQ(Reported()[0].phase(), TrainerStatus::FAILED);
  EXPECT_TRUE(Reported()[0].error_is_permanent());
  table.SetDesired({});
  EXPECT_TRUE(Reported().empty());
}

TEST_F(TrainerTableTest, AFailureThatIsNotPermanentIsReplaced) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  TrainerReport report = ReportOf(incarnation, TrainerStatus::FAILED);
  report.mutable_status()->set_error("disk on fire");
  LORY_ASSERT_OK_AND_ASSIGN(const int64_t stream,
                            table.Connect(report.status()));
  table.Reported(incarnation, stream, report);
  EXPECT_EQ(table.TakeWork().signals.size(), 1u);
  table.Ended(incarnation, 143, "signal 15", EndCause::kSignal);
  EXPECT_THAT(Reported()[0].error(), HasSubstr("disk on fire"));
  TellCoordinator();
  EXPECT_NE(StartOne(), "");
}

TEST_F(TrainerTableTest, APermanentFailureSurvivesTheProcess) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  TrainerReport report = ReportOf(incarnation, TrainerStatus::FAILED);
  report.mutable_status()->set_error("wrong vocabulary");
  report.mutable_status()->set_error_is_permanent(true);
  LORY_ASSERT_OK_AND_ASSIGN(const int64_t stream,
                            table.Connect(report.status()));
  table.Reported(incarnation, stream, report);
  table.Ended(incarnation, 1, "exited with status 1", EndCause::kExit);
  TellCoordinator();
  EXPECT_TRUE(table.TakeWork().starts.empty());
  EXPECT_EQ(Reported()[0].phase(), TrainerStatus::FAILED);
  EXPECT_EQ(Reported()[0].error(), "wrong vocabulary");
}

TEST_F(TrainerTableTest, AClosedTableStartsNothing) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  table.Close();
  EXPECT_EQ(table.TakeWork().signals.size(), 1u);
  table.Ended(incarnation, 143, "signal 15", EndCause::kSignal);
  Want(Assignment::STANDBY);
  TellCoordinator();
  EXPECT_TRUE(table.TakeWork().starts.empty());
}

TEST_F(TrainerTableTest, StepsAloneAreToldAFewTimesASecond) {
  Want(Assignment::RUN, 3);
  const std::string incarnation = StartOne();
  TrainerReport report = ReportOf(incarnation, TrainerStatus::TRAINING, 3);
  LORY_ASSERT_OK_AND_ASSIGN(const int64_t stream,
                            table.Connect(report.status()));
  const auto step = [&](int64_t applied_step) {
    report.mutable_status()->set_applied_step(applied_step);
    table.Reported(incarnation, stream, report);
  };
  const auto tell = [&] {
    const int64_t version = table.BuildReport().version;
    table.ReportSent(version);
    return version;
  };
  int64_t told = tell();
  EXPECT_EQ(table.TimeToReport(told), absl::InfiniteDuration());
  step(0);  // begins to train
  EXPECT_EQ(table.TimeToReport(told), absl::ZeroDuration());
  told = tell();
  step(1);  // the first step may end a recovery
  EXPECT_EQ(table.TimeToReport(told), absl::ZeroDuration());
  told = tell();
  step(2);
  EXPECT_EQ(table.TimeToReport(told), absl::Milliseconds(250));
  clock.Advance(absl::Milliseconds(200));
  step(3);
  EXPECT_EQ(table.TimeToReport(told), absl::Milliseconds(50));
  clock.Advance(absl::Milliseconds(50));
  EXPECT_EQ(table.TimeToReport(told), absl::ZeroDuration());
}

TEST_F(TrainerTableTest, WhatIsMoreThanAStepIsToldAtOnce) {
  Want(Assignment::RUN, 3);
  const std::string incarnation = StartOne();
  TrainerReport report = ReportOf(incarnation, TrainerStatus::TRAINING, 3);
  LORY_ASSERT_OK_AND_ASSIGN(const int64_t stream,
                            table.Connect(report.status()));
  int64_t told = 0;
  const auto keep_stepping = [&] {
    for (int i = 0; i < 2; ++i) {
      TrainerStatus& status = *report.mutable_status();
      status.set_applied_step(status.applied_step() + 1);
      table.Reported(incarnation, stream, report);
      told = table.BuildReport().version;
      table.ReportSent(told);
    }
  };
  keep_stepping();
  report.mutable_status()->mutable_round()->set_id(2);
  table.Reported(incarnation, stream, report);
  EXPECT_EQ(table.TimeToReport(told), absl::ZeroDuration());
  keep_stepping();
  report.mutable_status()->set_phase(TrainerStatus::BROKEN);
  table.Reported(incarnation, stream, report);
  EXPECT_EQ(table.TimeToReport(told), absl::ZeroDuration());
  keep_stepping();
  table.Ended(incarnation, 137, "was ended by signal 9", EndCause::kSignal);
  EXPECT_EQ(table.TimeToReport(told), absl::ZeroDuration());
  told = table.BuildReport().version;
  Want(Assignment::STANDBY);  // the version seen is told, too
  EXPECT_EQ(table.TimeToReport(told), absl::ZeroDuration());
}

TEST_F(TrainerTableTest, FencedPartsAreDeletedByTheirWriter) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  LORY_ASSERT_OK_AND_ASSIGN(
      const int64_t stream,
      table.Connect(ReportOf(incarnation, TrainerStatus::READY).status()));
  EXPECT_TRUE(table.DeletePart(incarnation, "/parts/0"));
  EXPECT_FALSE(table.DeletePart("gone", "/parts/0"));
  const auto order =
      table.WaitForOrder(incarnation, stream, 0, absl::ZeroDuration());
  ASSERT_EQ(order->order.parts_to_delete_size(), 1);
  EXPECT_EQ(order->order.parts_to_delete(0), "/parts/0");
}

TEST_F(TrainerTableTest, LastWordsAreAwaitedWhileTheirStreamIsOpen) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  // Never connected: nothing to wait for.
  table.WaitForLastWords(incarnation, absl::InfiniteDuration());
  TrainerReport report = ReportOf(incarnation, TrainerStatus::TRAINING);
  const int64_t stream = *table.Connect(report.status());
  {
    const std::jthread reader([&] {
      report.mutable_status()->set_applied_step(7);
      table.Reported(incarnation, stream, report);
      table.Disconnected(incarnation, stream - 1);  // a superseded one
      table.Disconnected(incarnation, stream);
    });
    table.WaitForLastWords(incarnation, absl::Hours(1));
    EXPECT_EQ(Reported()[0].applied_step(), 7);
  }
  table.Ended(incarnation, 1, "exited with status 1", EndCause::kExit);
  EXPECT_EQ(Reported()[0].phase(), TrainerStatus::EXITED);
  EXPECT_EQ(Reported()[0].applied_step(), 7);
}

TEST_F(TrainerTableTest, LastWordsAreNotAwaitedForEver) {
  Want(Assignment::STANDBY);
  const std::string incarnation = StartOne();
  ASSERT_OK(
      table.Connect(ReportOf(incarnation, TrainerStatus::TRAINING).status()));
  table.WaitForLastWords(incarnation, absl::ZeroDuration());
}

}  // namespace
}  // namespace lory::daemon
