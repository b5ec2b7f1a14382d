#include "coordinator/page/status_page.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::coordinator::page {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

StatusPageData OneJob() {
  StatusPageData data;
  data.now = absl::FromUnixSeconds(1'000'000);
  lory::v1::Job job;
  job.set_name("jobs/tiny");
  job.set_state(lory::v1::Job::RUNNING);
  job.set_reason("2 trainers apply steps");
  job.mutable_progress()->set_step(30);
  job.mutable_progress()->set_step_count(120);
  auto* layer = job.mutable_progress()->add_routing();
  layer->add_weight_mean(0.75);
  layer->add_weight_mean(0.25);
  layer->set_entropy(0.56);
  layer->set_active_share(0.5);
  data.jobs.push_back(job);
  return data;
}

TEST(StatusPage, ShowsStateReasonProgressAndExperts) {
  const std::string html = RenderStatusPage(OneJob());
  EXPECT_THAT(html, HasSubstr("<span class=\"state running\">RUNNING</span>"));
  EXPECT_THAT(html, HasSubstr("2 trainers apply steps"));
  EXPECT_THAT(html, HasSubstr("step 30 of 120"));
  EXPECT_THAT(html, HasSubstr("width:25.0%"));
  EXPECT_THAT(html, HasSubstr(">0.75</td>"));
  EXPECT_THAT(html, HasSubstr("0.56 / 0.69"));
}

TEST(StatusPage, SaysWhatToDoWhenThereIsNothingYet) {
  const std::string html = RenderStatusPage({});
  EXPECT_THAT(html, HasSubstr("loryctl job submit"));
  EXPECT_THAT(html, HasSubstr("lory-worker --coordinator"));
}

TEST(StatusPage, LetsNoTextFromOutsideBecomeMarkup) {
  StatusPageData data = OneJob();
  data.jobs[0].set_reason("<script>alert('x')</script>");
  const std::string html = RenderStatusPage(data);
  EXPECT_THAT(html, Not(HasSubstr("<script>")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;"));
}

TEST(StatusPage, SaysThatADensePhaseHasNoExpertsYet) {
  StatusPageData data = OneJob();
  data.jobs[0].mutable_progress()->clear_routing();
  data.jobs[0].mutable_progress()->set_dense_phase(true);
  EXPECT_THAT(RenderStatusPage(data), HasSubstr("dense phase"));
}

TEST(Sparkline, RunsFromTheFirstToTheLastValue) {
  const std::string svg = Sparkline({{0, 8.0}, {1, 6.0}, {2, 4.0}}, 100, 10);
  EXPECT_THAT(svg, HasSubstr("8.000"));
  EXPECT_THAT(svg, HasSubstr("4.000</span>"));
  EXPECT_THAT(svg, HasSubstr("0.0,0.0 50.0,5.0 100.0,10.0"));
  EXPECT_EQ(Sparkline({{0, 8.0}}, 100, 10), "");
}

TEST(Compact, KeepsCountsShort) {
  EXPECT_EQ(Compact(999), "999");
  EXPECT_EQ(Compact(12'345), "12.3k");
  EXPECT_EQ(Compact(4.2e6), "4.2M");
}

}  // namespace
}  // namespace lory::coordinator::page
