#include "worker/train/line_file.h"

#include <sys/resource.h>

#include <csignal>
#include <limits>

#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::train {
namespace {

TEST(LineFile, GrowsByWholeLinesAlsoAfterACut) {
  const lory::testing::TemporaryFolder folder;
  const std::string path =
      folder.Write("trace/a-0.jsonl", "{\"step\":1}\n{\"s");
  LORY_ASSERT_OK_AND_ASSIGN(LineFile file, LineFile::Open(path));
  file.Append("two");
  file.Append("three");
  EXPECT_EQ(*lory::io::LocalStorage().Read(path),
            "{\"step\":1}\n{\"s\ntwo\nthree\n");
}

TEST(LineFile, LinesWaitForAFullDisk) {
  LORY_ASSERT_OK_AND_ASSIGN(LineFile file, LineFile::Open("/dev/full"));
  for (int i = 0; i < 1000; ++i) file.Append("a line that cannot be written");
}

TEST(LineFile, WhatWaitedIsWrittenOnceThereIsRoom) {
  const lory::testing::TemporaryFolder folder;
  const std::string path = folder.At("a.jsonl");
  LORY_ASSERT_OK_AND_ASSIGN(LineFile file, LineFile::Open(path));
  // Files of this process end at 10 bytes, as on a disk that is full.
  struct rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small = {10, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  file.Append("1234567");
  file.Append("abcdefg");
  EXPECT_FALSE(file.Flush());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(file.Flush());
  EXPECT_EQ(*lory::io::LocalStorage().Read(path), "1234567\nabcdefg\n");
}

TEST(TraceLine, IsWhatTheProtocolSays) {
  const ControlWord words[] = {{.fingerprint_sum = 0x9f},
                               {.fingerprint_sum = ~uint64_t{0}}};
  const int32_t shares[] = {3, 1};
  EXPECT_EQ(TraceLine(12, 3, words, shares, "\xab\x01"),
            R"({"step":12,"generation":3,)"
            R"("sums":["000000000000009f","ffffffffffffffff"],)"
            R"("shares":[3,1],"digest":"ab01"})");
}

TEST(MetricsLine, ALossThatIsNoNumberIsNull) {
  lory::v1::JobProgress progress;
  progress.set_step(7);
  progress.set_loss(std::numeric_limits<double>::infinity());
  EXPECT_THAT(MetricsLine(2, progress),
              ::testing::HasSubstr(R"("step":7,"loss":null,)"));
}

TEST(MetricsLine, ActiveExpertsAreThoseOfAllLayers) {
  lory::v1::JobProgress progress;
  EXPECT_THAT(MetricsLine(2, progress),
              ::testing::Not(::testing::HasSubstr("active_share")));
  progress.add_routing()->set_active_share(0.5);
  progress.add_routing()->set_active_share(1);
  EXPECT_THAT(MetricsLine(2, progress),
              ::testing::HasSubstr(R"("active_share":0.75)"));
}

TEST(MetricsLine, SaysHowLongACheckpointStoppedTraining) {
  lory::v1::JobProgress progress;
  progress.mutable_step_times()->set_total_seconds(0.5);
  progress.mutable_step_times()->set_checkpoint_seconds(0.25);
  EXPECT_THAT(
      MetricsLine(2, progress),
      ::testing::HasSubstr(R"("step_seconds":0.5,"checkpoint_seconds":0.25,)"));
}

}  // namespace
}  // namespace lory::train
