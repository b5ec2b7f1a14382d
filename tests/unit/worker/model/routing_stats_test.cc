#include "worker/model/routing_stats.h"

#include <ATen/ops/tensor.h>

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::model {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Two segments of four experts: one decided, one undecided.
RoutingStats Recorded() {
  RoutingStats stats(2, 4);
  stats.Record(1, at::tensor({1.0, 0.0, 0.0, 0.0,  //
                              0.25, 0.25, 0.25, 0.25})
                      .view({2, 4}));
  return stats;
}

TEST(RoutingStats, DerivesMeansEntropyAndActiveShare) {
  const RoutingStats stats = Recorded();
  EXPECT_EQ(stats.DecisionCount(1), 2);
  EXPECT_THAT(stats.MeanWeights(1), ElementsAre(0.625, 0.125, 0.125, 0.125));
  EXPECT_THAT(stats.MeanEntropy(1), DoubleNear(std::log(4.0) / 2, 1e-12));
  EXPECT_THAT(stats.ActiveFractions(1), ElementsAre(0.5, 0, 0, 0));
  EXPECT_EQ(stats.ActiveShare(1), 0.25);
  EXPECT_EQ(stats.DecisionCount(0), 0);
  EXPECT_EQ(stats.MeanEntropy(0), 0);
}

TEST(RoutingStats, WhatNoExpertTookCountsApart) {
  RoutingStats stats = Recorded();
  stats.Record(1, at::tensor({0.0, 0.0, 0.0, 0.0}).view({1, 4}));
  EXPECT_EQ(stats.DecisionCount(1), 2);
  EXPECT_THAT(stats.MeanWeights(1), ElementsAre(0.625, 0.125, 0.125, 0.125));
  EXPECT_DOUBLE_EQ(stats.UnroutedShare(1), 1.0 / 3);
  EXPECT_EQ(stats.UnroutedShare(0), 0);
}

TEST(RoutingStats, TheBusiestExpertIsComparedWithTheMean) {
  RoutingStats stats(2, 4);
  // Of two choices each: three of one expert, two, one and none.
  stats.Record(0, at::tensor({0.5, 0.5, 0.0, 0.0,  //
                              0.5, 0.5, 0.0, 0.0,  //
                              0.9, 0.0, 0.1, 0.0,  //
                              0.0, 0.0, 0.0, 0.0})
                      .view({4, 4}));
  EXPECT_DOUBLE_EQ(stats.LoadRatio(0), 3 / 1.5);
  EXPECT_EQ(stats.LoadRatio(1), 0);
  RoutingStats merged(1, 4);
  merged.Record(0, at::tensor({0.7, 0.1, 0.1, 0.1}).view({1, 4}));
  EXPECT_EQ(merged.LoadRatio(0), 1);
}

TEST(RoutingStats, SumsOfPartsAreThoseOfTheWhole) {
  RoutingStats twice = Recorded();
  twice.Add(Recorded());
  std::vector<float> summed = Recorded().Flatten();
  for (float& number : summed) number += number;
  EXPECT_EQ(twice.Flatten(), summed);
  EXPECT_EQ(RoutingStats::FromFlat(2, 4, summed).Flatten(), summed);
  EXPECT_THAT(twice.MeanWeights(1), Recorded().MeanWeights(1));
}

TEST(RoutingStats, EmptyStatsAddNothingAndTakeAnything) {
  RoutingStats sum;
  EXPECT_TRUE(sum.empty());
  EXPECT_THAT(sum.Flatten(), IsEmpty());
  sum.Add(Recorded());
  sum.Add(RoutingStats());
  EXPECT_EQ(sum.Flatten(), Recorded().Flatten());
}

}  // namespace
}  // namespace lory::model
