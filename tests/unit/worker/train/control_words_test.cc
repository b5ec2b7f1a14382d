#include "worker/train/control_words.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::train {
namespace {

ControlWord Full() {
  return {.token_count = (int64_t{1} << 48) - 1,
          .loss_sum = 123456.78901234567,
          .auxiliary_sum = 0.0123456789012345678,
          .leave = true,
          .stop = true,
          .writing = true,
          .checkpoint_held = 70000,
          .checkpoint_acted = 69999,
          .round_held = 1 << 20,
          .fingerprint_sum = 0xfedcba9876543210u,
          .compute_seconds = 0.123456789,
          .resident_bytes = int64_t{5} << 40};
}

// What the all-reduce does.
std::vector<float> Sum(const std::vector<ControlWord>& words) {
  const int world = static_cast<int>(words.size());
  std::vector<float> sum(ControlWordSize() * world);
  for (int rank = 0; rank < world; ++rank) {
    const auto floats = EncodeControlWord(words[rank], rank, world);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += floats[i];
  }
  return sum;
}

TEST(ControlWords, TheSumTellsEveryoneWhatEveryoneSaidExactly) {
  const std::vector<ControlWord> words = {Full(), {}, Full()};
  EXPECT_EQ(DecodeControlWords(Sum(words)), words);
}

TEST(ControlWords, ALossThatIsNoNumberDisturbsNobodyElse) {
  ControlWord sick;
  sick.loss_sum = std::numeric_limits<double>::quiet_NaN();
  const auto decoded = DecodeControlWords(Sum({Full(), sick}));
  EXPECT_EQ(decoded[0], Full());
  EXPECT_TRUE(std::isnan(decoded[1].loss_sum));
}

TEST(Decide, WhatAnyRankWasToldTakesEffectForAll) {
  ControlWord quiet;
  ControlWord told{.leave = true, .stop = true, .writing = true};
  const ControlWord words[] = {quiet, told};
  const Decision decision = Decide(words);
  EXPECT_TRUE(decision.leave);
  EXPECT_TRUE(decision.stop);
  EXPECT_TRUE(decision.writing);
  EXPECT_FALSE(Decide({&quiet, 1}).leave);
  EXPECT_FALSE(Decide({&quiet, 1}).stop);
}

TEST(Decide, ARoundBeginsWhenAllHoldIt) {
  const ControlWord words[] = {{.round_held = 3}, {.round_held = 2}};
  EXPECT_EQ(Decide(words).common_round, 2);
}

TEST(Decide, ADemandForACheckpointIsActedOnOnce) {
  // A joiner is told of demand 5, which the others acted on long ago.
  const ControlWord old[] = {{.checkpoint_held = 5, .checkpoint_acted = 5},
                             {.checkpoint_held = 5, .checkpoint_acted = 0}};
  EXPECT_FALSE(Decide(old).checkpoint);
  EXPECT_EQ(Decide(old).checkpoint_order, 5);
  const ControlWord fresh[] = {{.checkpoint_held = 6, .checkpoint_acted = 5},
                               {.checkpoint_held = 5, .checkpoint_acted = 5}};
  EXPECT_TRUE(Decide(fresh).checkpoint);
  EXPECT_EQ(Decide(fresh).checkpoint_order, 6);
}

TEST(Decide, SumsSamplesAndTokensAndKeepsTheSlowest) {
  const ControlWord words[] = {{.token_count = 3,
                                .loss_sum = 1.5,
                                .auxiliary_sum = 0.25,
                                .fingerprint_sum = ~uint64_t{0},
                                .compute_seconds = 2,
                                .resident_bytes = 10},
                               {.token_count = 4,
                                .loss_sum = 2.5,
                                .auxiliary_sum = 0.5,
                                .fingerprint_sum = 3,
                                .compute_seconds = 1,
                                .resident_bytes = 20}};
  const Decision decision = Decide(words);
  EXPECT_EQ(decision.token_count, 7);
  EXPECT_EQ(decision.loss_sum, 4);
  EXPECT_EQ(decision.auxiliary_sum, 0.75);
  EXPECT_EQ(decision.fingerprint_sum, 2u);  // modulo 2^64
  EXPECT_EQ(decision.compute_seconds, 2);
  EXPECT_EQ(decision.resident_bytes, 30);
}

}  // namespace
}  // namespace lory::train
