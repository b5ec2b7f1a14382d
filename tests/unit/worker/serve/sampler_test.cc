#include "worker/serve/sampler.h"

#include <cmath>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::serve {
namespace {

using ::testing::ElementsAre;

const std::vector<float> kLogits = {0.5F, 2.0F, -1.0F, 2.0F, 1.5F};

TEST(Sampler, WithoutTemperatureTheFirstOfTheLikeliestIsTaken) {
  EXPECT_EQ(Sampler({}).Choose(kLogits), 1);
}

TEST(Sampler, ASeedDecidesTheDraws) {
  const Sampling sampling = {.temperature = 1, .seed = 7};
  Sampler a(sampling);
  Sampler b(sampling);
  Sampler other({.temperature = 1, .seed = 8});
  std::vector<int64_t> drawn, again, others;
  for (int i = 0; i < 50; ++i) {
    drawn.push_back(a.Choose(kLogits));
    again.push_back(b.Choose(kLogits));
    others.push_back(other.Choose(kLogits));
  }
  EXPECT_EQ(drawn, again);
  EXPECT_NE(drawn, others);
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  Sampler sampler({.temperature = 1, .seed = 1});
  std::vector<double> counts(kLogits.size());
  const int draws = 20'000;
  for (int i = 0; i < draws; ++i) counts[sampler.Choose(kLogits)] += 1;
  for (size_t i = 0; i < kLogits.size(); ++i) {
    const auto token = static_cast<int64_t>(i);
    EXPECT_NEAR(counts[i] / draws,
                std::exp(ScoreToken(kLogits, token, 0).log_probability), 0.02);
  }
}

TEST(Sampler, TopKAndTopPKeepTheLikeliest) {
  Sampler top_k({.temperature = 5, .top_k = 3, .seed = 1});
  // Shares: 0.35, 0.35, 0.21, 0.08, 0.02: two reach 0.6.
  Sampler top_p({.temperature = 1, .top_p = 0.6, .seed = 1});
  Sampler narrow({.temperature = 1, .top_p = 1e-9, .seed = 1});
  std::set<int64_t> by_k, by_p, by_narrow;
  for (int i = 0; i < 500; ++i) {
    by_k.insert(top_k.Choose(kLogits));
    by_p.insert(top_p.Choose(kLogits));
    by_narrow.insert(narrow.Choose(kLogits));
  }
  EXPECT_THAT(by_k, ElementsAre(1, 3, 4));
  EXPECT_THAT(by_p, ElementsAre(1, 3));
  EXPECT_THAT(by_narrow, ElementsAre(1));
}

TEST(Sampler, WhatIsBarredIsNeverDrawn) {
  const std::vector<bool> barred = {false, true, false, true, false};
  EXPECT_EQ(Sampler({}).Choose(kLogits, barred), 4);
  EXPECT_EQ(Sampler({}).Choose(kLogits, std::vector<bool>(5, true)), -1);
  Sampler all({.temperature = 1, .seed = 1});
  Sampler top_k({.temperature = 5, .top_k = 2, .seed = 1});
  Sampler top_p({.temperature = 5, .top_p = 0.99, .seed = 1});
  std::set<int64_t> by_all, by_k, by_p;
  for (int i = 0; i < 500; ++i) {
    by_all.insert(all.Choose(kLogits, barred));
    by_k.insert(top_k.Choose(kLogits, barred));
    by_p.insert(top_p.Choose(kLogits, barred));
  }
  EXPECT_THAT(by_all, ElementsAre(0, 2, 4));
  EXPECT_THAT(by_k, ElementsAre(0, 4));
  EXPECT_THAT(by_p, ElementsAre(0, 2, 4));
}

TEST(Sampler, WhatIsNoNumberIsNotDrawnFrom) {
  EXPECT_EQ(Sampler({}).Choose(std::vector<float>{0, NAN}), -1);
  EXPECT_EQ(Sampler({}).Choose(std::vector<float>{0, INFINITY}), -1);
}

TEST(ScoreToken, IsTheLogOfTheSoftmax) {
  const std::vector<float> logits = {0, std::log(3.0F)};
  const TokenScore score = ScoreToken(logits, 0, 2);
  EXPECT_NEAR(score.log_probability, std::log(0.25), 1e-6);
  ASSERT_EQ(score.top.size(), 2);
  EXPECT_EQ(score.top[0].first, 1);
  EXPECT_NEAR(score.top[0].second, std::log(0.75), 1e-6);
  EXPECT_EQ(ScoreToken(logits, 0, 20).top.size(), 2);
}

}  // namespace
}  // namespace lory::serve
