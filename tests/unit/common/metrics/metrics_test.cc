#include "common/metrics/metrics.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"

namespace lory::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsTest, AGaugeShowsItsNewestValue) {
  Registry registry;
  registry.DeclareGauge("lory_test_depth_bytes", "How deep.");
  registry.Set("lory_test_depth_bytes", {{"job", "tiny"}}, 1);
  registry.Set("lory_test_depth_bytes", {{"job", "tiny"}}, 2.5);
  EXPECT_THAT(registry.Serialize(),
              HasSubstr("# HELP lory_test_depth_bytes How deep.\n"
                        "# TYPE lory_test_depth_bytes gauge\n"
                        "lory_test_depth_bytes{job=\"tiny\"} 2.5\n"));
}

TEST(MetricsTest, ACounterAddsUp) {
  Registry registry;
  registry.DeclareCounter("lory_test_calls_total", "Calls.");
  registry.Add("lory_test_calls_total", {});
  registry.Add("lory_test_calls_total", {}, 4);
  EXPECT_THAT(registry.Serialize(), HasSubstr("lory_test_calls_total 5\n"));
}

TEST(MetricsTest, AHistogramCountsLessOrEqual) {
  Registry registry;
  registry.DeclareHistogram("lory_test_wait_seconds", "Waits.", {1, 2});
  for (const double value : {0.5, 1.0, 1.5, 9.0}) {
    registry.Observe("lory_test_wait_seconds", {}, value);
  }
  const std::string text = registry.Serialize();
  EXPECT_THAT(text, HasSubstr("_bucket{le=\"1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("_bucket{le=\"2\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("_bucket{le=\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("_sum 12\n"));
}

TEST(MetricsTest, SeriesOfAJobCanBeRemovedFromAllFamilies) {
  Registry registry;
  registry.DeclareGauge("lory_test_a", "A.");
  registry.DeclareGauge("lory_test_b", "B.");
  registry.Set("lory_test_a", {{"job", "x"}}, 1);
  registry.Set("lory_test_a", {{"job", "y"}}, 1);
  registry.Set("lory_test_b", {{"job", "x"}, {"layer", "0"}}, 1);
  registry.RemoveMatching({{"job", "x"}});
  const std::string text = registry.Serialize();
  EXPECT_THAT(text, Not(HasSubstr("job=\"x\"")));
  EXPECT_THAT(text, HasSubstr("lory_test_a{job=\"y\"} 1\n"));
}

TEST(MetricsTest, ProcessAndBuildAreAlwaysThere) {
  const std::string text = Registry().Serialize();
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes "));
  EXPECT_THAT(text, HasSubstr("process_cpu_seconds_total "));
  EXPECT_THAT(text, HasSubstr("process_open_fds "));
  EXPECT_THAT(text, HasSubstr("lory_build_info{version="));
}

TEST(MetricsTest, FamiliesCanBeListed) {
  Registry registry;
  registry.DeclareCounter("lory_test_calls_total", "Calls.");
  const auto families = registry.families();
  ASSERT_EQ(families.size(), 2u);
  EXPECT_EQ(families[1].name, "lory_test_calls_total");
  EXPECT_EQ(families[1].kind, "counter");
}

TEST(MetricsDeathTest, WrongNamesEndTheProcess) {
  Registry registry;
  EXPECT_DEATH(registry.DeclareGauge("steps", "No prefix."), "check failed");
  EXPECT_DEATH(registry.DeclareGauge("lory_wait_ms", "Unit."), "check failed");
  EXPECT_DEATH(registry.DeclareGauge("lory_Wait", "Case."), "check failed");
  EXPECT_DEATH(registry.DeclareGauge("lory_x_total", "Kind."), "check failed");
  EXPECT_DEATH(registry.DeclareCounter("lory_x", "Kind."), "check failed");
  EXPECT_DEATH(registry.DeclareGauge("lory_x", ""), "check failed");
  EXPECT_DEATH(registry.Set("lory_undeclared", {}, 1), "check failed");
}

TEST(MetricsTest, PromtoolAcceptsThePage) {
  if (std::system("command -v promtool > /dev/null") != 0) {
    GTEST_SKIP() << "promtool (Debian package prometheus) is not installed";
  }
  Registry registry;
  registry.DeclareGauge("lory_test_depth_bytes", "How deep.");
  registry.DeclareHistogram("lory_test_wait_seconds", "Waits.", {1, 2});
  registry.Set("lory_test_depth_bytes", {{"odd", "a\"b\\c\nd"}}, 1);
  registry.Observe("lory_test_wait_seconds", {}, 1);
  const testing::TemporaryFolder folder;
  std::ofstream(folder.At("page")) << registry.Serialize();
  EXPECT_EQ(
      std::system(("promtool check metrics < " + (folder.At("page"))).c_str()),
      0);
}

}  // namespace
}  // namespace lory::metrics
