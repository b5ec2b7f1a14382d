#include "common/base/progress.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"

namespace lory {
namespace {

using ::lory::testing::CapturedProgress;
using ::testing::HasSubstr;

TEST(Progress, ShowsShareRateAndTimeLeft) {
  EXPECT_EQ(ProgressLine("embed", 5'000'000, 20'000'000, absl::Seconds(2)),
            "embed      [######..................]  25%  2.5M/s  6s left");
  EXPECT_EQ(
      ProgressLine("embed", 5'000'000, 20'000'000, absl::Seconds(2), "bytes"),
      "embed      [######..................]  25%  2.5M bytes/s  6s left");
  EXPECT_EQ(ProgressLine("ingest", 3000, 0, absl::Seconds(2), "bytes"),
            "ingest     3.0k bytes, 1.5k bytes/s");
  EXPECT_EQ(ProgressLine("embed", 0, 10, absl::ZeroDuration()),
            "embed      [........................]   0%  0/s");
  EXPECT_EQ(ProgressLine("ingest", 3000, 0, absl::Seconds(2)),
            "ingest     3.0k, 1.5k/s");
}

TEST(Progress, TellsNoTimeThatMeansNothing) {
  EXPECT_EQ(ProgressLine("tokenize", 90, 10'000, absl::Seconds(60), "bytes"),
            "tokenize   [........................]   1%  2 bytes/s");
  EXPECT_THAT(ProgressLine("tokenize", 100, 10'000, absl::Seconds(60)),
              HasSubstr("left"));
}

TEST(Progress, PartsOfAStageHaveATimeOfTheirOwnAndOneTogether) {
  CapturedProgress captured;
  Progress& progress = captured.progress();
  progress.Start("duplicates", 10, "documents");
  captured.clock().Advance(absl::Seconds(30));
  progress.Start("duplicates", 100, "neighbors");
  captured.clock().Advance(absl::Seconds(10));
  progress.Advance(50);
  EXPECT_THAT(captured.Take(), HasSubstr("50%  5 neighbors/s  10s left"));
  progress.Finish("done");
  EXPECT_EQ(captured.Take(), "duplicates done (40.0 s)\n");
  progress.Start("duplicates", 10);
  progress.Finish("again");
  EXPECT_EQ(captured.Take(), "duplicates again (0.0 s)\n");
}

TEST(Progress, IsSilentBetweenPlainLinesOffATerminal) {
  CapturedProgress captured;
  captured.progress().Start("embed", 100);
  captured.progress().Advance(10);
  EXPECT_EQ(captured.Take(), "");
  captured.clock().Advance(absl::Seconds(11));
  captured.progress().Advance(10);
  const std::string said = captured.Take();
  EXPECT_THAT(said, HasSubstr("20%"));
  EXPECT_EQ(said.find('\r'), std::string::npos);
}

TEST(Progress, MovesOneLineOnATerminal) {
  CapturedProgress captured(/*is_terminal=*/true);
  captured.progress().Start("embed", 100);
  captured.clock().Advance(absl::Seconds(1));
  captured.progress().Advance(50);
  EXPECT_THAT(captured.Take(), HasSubstr("\r\033[Kembed"));
}

}  // namespace
}  // namespace lory
