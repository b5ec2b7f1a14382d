#include "common/base/check.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/unit/worker/train/fleet.h"

// Every variant of the feed-forward learns through the trainer.
namespace lory::train {
namespace {

using ::lory::v1::TrainerStatus;

lory::v1::JobSpec SpecWith(const char* feed_forward, int64_t step_count) {
  lory::v1::JobSpec spec = TinySpec(step_count);
  LORY_CHECK(google::protobuf::TextFormat::ParseFromString(
      feed_forward, spec.mutable_model()->mutable_feed_forward()));
  return spec;
}

struct VariantsTest : ::testing::TestWithParam<const char*> {};

TEST_P(VariantsTest, LearnToCountThroughTheDensePhaseAndAfter) {
  Fleet fleet(SpecWith(GetParam(), 30));
  Member& a = fleet.Add();
  a.AwaitPhase(TrainerStatus::READY);
  fleet.Start({&a}, 30);
  const double first_loss = a.AwaitStep(1).progress().loss();
  const TrainerStatus end = a.AwaitPhase(TrainerStatus::FINISHED);
  EXPECT_EQ(end.applied_step(), 30);
  EXPECT_FALSE(end.progress().dense_phase());
  EXPECT_LT(end.progress().loss(), first_loss - 1);
  EXPECT_LT(end.progress().evaluation().overall().loss(), first_loss - 1);
  ASSERT_EQ(end.progress().routing_size(), 2);
  EXPECT_EQ(end.progress().routing(0).weight_mean_size(), 4);
}

INSTANTIATE_TEST_SUITE_P(
    All, VariantsTest,
    ::testing::Values(
        "prefix_routing { expert_count: 4 segment_length: 16 }",
        "token_choice { expert_count: 4 z_loss_coefficient: 1e-3 }",
        "expert_choice { expert_count: 4 }",
        "expert_choice { expert_count: 4 level: SEGMENT segment_length: 16 "
        "dense_fraction: 0.05 }",
        "smear { expert_count: 4 pool_length: 16 }",
        "soft_moe { expert_count: 4 allow_noncausal: true }",
        "weight_ensembling { expert_count: 4 pool_length: 16 }"));

TEST(AuxiliaryLoss, IsTheSameHoweverManyRanksShareTheStep) {
  const auto run = [](int ranks) {
    Fleet fleet(
        SpecWith("token_choice { expert_count: 4 dense_fraction: -1 }", 6));
    std::vector<Member*> members;
    for (int rank = 0; rank < ranks; ++rank) members.push_back(&fleet.Add());
    fleet.Start(members, 6);
    return members[0]->AwaitPhase(TrainerStatus::FINISHED).progress();
  };
  const auto one = run(1);
  const auto three = run(3);
  // Two layers, two experts a token, balanced or worse, times 0.01.
  EXPECT_GT(one.auxiliary_loss(), 0.039);
  EXPECT_NEAR(three.auxiliary_loss(), one.auxiliary_loss(), 1e-4);
  EXPECT_NEAR(three.loss(), one.loss(), 1e-3);
}

}  // namespace
}  // namespace lory::train
