#include "worker/train/control_board.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::train {
namespace {

using ::lory::internal::v1::TrainerOrder;
using ::lory::internal::v1::TrainerReport;
using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;

TrainerOrder Prepare(int64_t generation, bool urgent) {
  TrainerOrder order;
  order.mutable_assignment()->set_phase(Assignment::PREPARE);
  order.mutable_assignment()->set_generation(generation);
  order.mutable_assignment()->set_urgent(urgent);
  return order;
}

struct ControlBoardTest : ::testing::Test {
  ControlBoard board{TrainerStatus()};
  int aborts = 0;
  void ExpectAbortsOf(int64_t generation) {
    board.SetAbort(generation, [this] { ++aborts; });
  }
};

TEST_F(ControlBoardTest, OnlyTheNewestOrderCounts) {
  EXPECT_EQ(board.Newest().number, 0);
  board.Post(Prepare(1, false));
  board.Post(Prepare(2, false));
  EXPECT_EQ(board.Newest().assignment().generation(), 2);
  board.AwaitNews(1, absl::InfiniteDuration());  // does not block
}

TEST_F(ControlBoardTest, AnUrgentPrepareEndsTheCollectivesOfOlderGenerations) {
  ExpectAbortsOf(3);
  board.Post(Prepare(4, false));
  EXPECT_EQ(aborts, 0);
  board.Post(Prepare(4, true));
  EXPECT_EQ(aborts, 1);
  board.Post(Prepare(5, true));
  EXPECT_EQ(aborts, 1);  // once is enough
}

TEST_F(ControlBoardTest, AnUrgentPrepareOfTheSameGenerationEndsNothing) {
  ExpectAbortsOf(4);
  board.Post(Prepare(4, true));
  EXPECT_EQ(aborts, 0);
}

TEST_F(ControlBoardTest, OnlyAnUrgentPrepareOrTheEndInterruptsWhatIsBusy) {
  EXPECT_FALSE(board.MustGiveUp(3));
  board.Post(Prepare(4, false));
  EXPECT_FALSE(board.MustGiveUp(3));
  board.Post(Prepare(4, true));
  EXPECT_TRUE(board.MustGiveUp(3));
  EXPECT_FALSE(board.MustGiveUp(4));
  board.Close();
  EXPECT_TRUE(board.MustGiveUp(4));
}

TEST_F(ControlBoardTest, AnOrderThatCameBeforeEndsThemAtOnce) {
  board.Post(Prepare(4, true));
  ExpectAbortsOf(3);
  EXPECT_EQ(aborts, 1);
}

TEST_F(ControlBoardTest, ClosingEndsEveryWait) {
  ExpectAbortsOf(3);
  board.Close();
  EXPECT_EQ(aborts, 1);
  EXPECT_TRUE(board.closed());
  board.AwaitNews(7, absl::InfiniteDuration());
}

TEST_F(ControlBoardTest, AReportIsTheWholeStatusAndItsNewParts) {
  int64_t seen = 0, parts_seen = 0;
  board.Report([](TrainerStatus& status) { status.set_applied_step(5); });
  lory::v1::CommitCheckpointRequest part;
  part.set_step(5);
  board.AddWrittenPart(part);
  TrainerReport report =
      board.AwaitReport(&seen, &parts_seen, absl::ZeroDuration());
  EXPECT_EQ(report.status().applied_step(), 5);
  EXPECT_EQ(report.written_parts_size(), 1);
  const int64_t progress = report.progress_counter();
  report = board.AwaitReport(&seen, &parts_seen, absl::ZeroDuration());
  EXPECT_EQ(report.status().applied_step(), 5);
  EXPECT_EQ(report.written_parts_size(), 0);
  board.Progress();
  report = board.AwaitReport(&seen, &parts_seen, absl::ZeroDuration());
  EXPECT_GT(report.progress_counter(), progress);
  // A new stream hears of all parts again.
  parts_seen = 0;
  report = board.AwaitReport(&seen, &parts_seen, absl::ZeroDuration());
  EXPECT_EQ(report.written_parts_size(), 1);
}

TEST_F(ControlBoardTest, OnlyTheNewestPartsAreKept) {
  for (int step = 0; step < 200; ++step) {
    lory::v1::CommitCheckpointRequest part;
    part.set_step(step);
    board.AddWrittenPart(part);
  }
  int64_t seen = 0, parts_seen = 0;
  const TrainerReport report =
      board.AwaitReport(&seen, &parts_seen, absl::ZeroDuration());
  ASSERT_EQ(report.written_parts_size(),
            static_cast<int>(ControlBoard::kPartsKept));
  EXPECT_EQ(report.written_parts(ControlBoard::kPartsKept - 1).step(), 199);
}

}  // namespace
}  // namespace lory::train
