#include "tools/loryctl/words.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/loryctl/plot.h"
#include "tools/loryctl/table.h"

namespace lory::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Words, NumbersAreShortAndGrouped) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(-1234567), "-1,234,567");
  EXPECT_EQ(Grouped(123), "123");
  EXPECT_EQ(Short(1'850'000), "1.85 M");
  EXPECT_EQ(Short(29.545e9), "29.5 G");
  EXPECT_EQ(Bytes(1023), "1023 B");
  EXPECT_EQ(Bytes(3 << 20), "3.0 MiB");
}

TEST(Words, DurationsHaveTwoUnits) {
  EXPECT_EQ(Brief(absl::Milliseconds(2250)), "2.2s");
  EXPECT_EQ(Brief(absl::Seconds(59)), "59s");
  EXPECT_EQ(Brief(absl::Seconds(125)), "2m05s");
  EXPECT_EQ(Brief(absl::Minutes(125)), "2h05m");
  EXPECT_EQ(Brief(absl::Hours(76)), "3d04h");
  EXPECT_EQ(Brief(-absl::Seconds(61)), "-1m01s");
}

TEST(Words, BarsClampWhatLiesOutside) {
  EXPECT_EQ(Bar(0.5, 4, false), "##..");
  EXPECT_EQ(Bar(7, 4, false), "####");
  EXPECT_EQ(Bar(-1, 2, true), "░░");
  EXPECT_EQ(Heights({0, 0.5, 1, 9}, 1, false), "0477");
  EXPECT_EQ(Heights({1}, 0, false), "0");
}

TEST(Words, NamesAreShortenedAndCompleted) {
  EXPECT_EQ(ShortName("jobs/tiny"), "tiny");
  EXPECT_EQ(FullName("jobs", "tiny"), "jobs/tiny");
  EXPECT_EQ(FullName("jobs", "jobs/tiny"), "jobs/tiny");
}

TEST(Table, ClipsByCharactersNotBytes) {
  EXPECT_EQ(DisplayWidth("█▂"), 2);
  EXPECT_EQ(Clipped("█▂█▂█▂", 5), "█▂...");
  EXPECT_EQ(Clipped("abc", 3), "abc");
}

TEST(Plot, DrawsACurveWithinItsSize) {
  std::vector<PlotPoint> points;
  for (int i = 0; i < 1000; ++i) points.push_back({1.0 * i, 1.0 * i * i});
  for (const bool utf8 : {false, true}) {
    const std::string text =
        PlotText(points, {.columns = 50, .rows = 8, .utf8 = utf8});
    int lines = 0;
    std::string line;
    for (const char c : text) {
      if (c != '\n') {
        line += c;
        continue;
      }
      EXPECT_LE(DisplayWidth(line), 50) << text;
      line.clear();
      ++lines;
    }
    EXPECT_EQ(lines, 10);
  }
}

TEST(Plot, SurvivesOnePointNoPointAndNonsense) {
  EXPECT_THAT(PlotText({}, {}), IsEmpty());
  EXPECT_THAT(PlotText({{1, NAN}}, {}), IsEmpty());
  EXPECT_THAT(PlotText({{1, 2}, {2, INFINITY}}, {}), HasSubstr("*"));
}

}  // namespace
}  // namespace lory::ctl
