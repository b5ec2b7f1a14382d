#include "tools/loryctl/study_results.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Evaluation;
using ::lory::v1::Job;
using ::testing::ElementsAre;

// A job of `variant` that succeeded; fill in its evaluation.
Evaluation& AddStudyJob(std::vector<StudyJob>& jobs, size_t variant) {
  jobs.push_back({.variant = variant, .seed = 1});
  jobs.back().job.set_name("jobs/x");
  jobs.back().job.set_state(Job::SUCCEEDED);
  return *jobs.back().job.mutable_progress()->mutable_evaluation();
}

void SetLosses(lory::v1::DomainLoss& loss, double all, double later,
               int64_t later_tokens) {
  loss.set_token_count(100);
  loss.set_loss(all);
  loss.set_later_loss(later);
  loss.set_later_token_count(later_tokens);
}

// The column's value of variant 0, of variant 1, and their difference.
std::vector<std::string> Figures(const std::vector<StudyJob>& jobs,
                                 const std::string& key) {
  for (const StudyColumn& column : StudyColumns(jobs)) {
    if (column.key != key) continue;
    return {EstimateText(EstimateOf(jobs, 0, column), 1),
            EstimateText(EstimateOf(jobs, 1, column), 1),
            EstimateText(DifferenceOf(jobs, 1, 0, column), 1)};
  }
  return {"no such column"};
}

TEST(StudyResults, LaterLossesAreComparedAtTheSamePositionsOnly) {
  std::vector<StudyJob> jobs;
  Evaluation& routed = AddStudyJob(jobs, 0);
  SetLosses(*routed.mutable_overall(), 1, 2, 75);
  SetLosses(*routed.mutable_kept_out(), 3, 4, 75);
  std::vector<StudyJob> same = jobs, other = jobs, none = jobs;
  SetLosses(*AddStudyJob(same, 1).mutable_overall(), 1.5, 2.3, 75);
  SetLosses(*AddStudyJob(other, 1).mutable_overall(), 1.5, 2.3, 50);
  Evaluation& dense = AddStudyJob(none, 1);
  SetLosses(*dense.mutable_overall(), 1.5, 0, 0);
  SetLosses(*dense.mutable_kept_out(), 3.5, 0, 0);
  EXPECT_THAT(Figures(same, "later_loss"), ElementsAre("2.0", "2.3", "0.3"));
  EXPECT_THAT(Figures(other, "later_loss"), ElementsAre("2.0", "2.3", "-"));
  EXPECT_THAT(Figures(other, "held_out_loss"),
              ElementsAre("1.0", "1.5", "0.5"));
  // All positions of the one are never set beside later ones of the other.
  EXPECT_THAT(Figures(none, "later_loss"), ElementsAre("2.0", "-", "-"));
  EXPECT_THAT(Figures(none, "kept_out_loss"), ElementsAre("3.0", "3.5", "0.5"));
  EXPECT_THAT(Figures(none, "kept_out_later_loss"),
              ElementsAre("4.0", "-", "-"));
}

TEST(StudyResults, AnExpertThatOneDomainUsesIsActive) {
  std::vector<StudyJob> jobs;
  Evaluation& evaluation = AddStudyJob(jobs, 0);
  for (const int domain : {0, 1}) {
    auto& loss = *evaluation.add_domains();
    for (const int layer : {0, 1}) {
      auto& routing = *loss.add_routing();
      routing.set_layer(layer);
      // Layer 0: one expert each; layer 1: the same one.
      for (int expert = 0; expert < 4; ++expert) {
        routing.add_active_fraction(expert == (layer == 0 ? domain : 3) ? 1
                                                                        : 0);
      }
    }
  }
  for (const StudyColumn& column : StudyColumns(jobs)) {
    if (column.key != "active_experts") continue;
    EXPECT_DOUBLE_EQ(EstimateOf(jobs, 0, column).mean, (0.5 + 0.25) / 2);
    return;
  }
  FAIL() << "no such column";
}

TEST(StudyResults, TheErrorOfAMeanIsThatOfTheSample) {
  // 1, 2, 3, 6: mean 3, squares 4 + 1 + 0 + 9 = 14; sqrt(14 / 3 / 4).
  const Estimate estimate = EstimateOf(std::vector<double>{1, 2, 3, 6});
  EXPECT_DOUBLE_EQ(estimate.mean, 3);
  EXPECT_NEAR(*estimate.standard_error, 1.080123449734643, 1e-12);
  EXPECT_EQ(EstimateText(estimate, 2), "3.00 ± 1.08");
  EXPECT_EQ(EstimateText(estimate, 1, true), "+3.0 ± 1.1");
  const Estimate one = EstimateOf(std::vector<double>{-2});
  EXPECT_FALSE(one.standard_error.has_value());
  EXPECT_EQ(EstimateText(one, 1, true), "-2.0");
  EXPECT_EQ(EstimateText(EstimateOf(std::vector<double>{}), 2), "-");
  EXPECT_EQ(EstimateText(EstimateOf({0.1, 0.1, 0.1}), 2), "0.10");
}

}  // namespace
}  // namespace lory::ctl
