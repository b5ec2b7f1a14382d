#include "common/config/field_names.h"

#include "common/base/edit_distance.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lory/v1/job.pb.h"

namespace lory::config {
namespace {

using ::lory::v1::JobSpec;
using ::lory::v1::OptimizerSpec;

TEST(FieldNames, AKeyIsTheProtoNameOrItsShortWord) {
  const auto& type = *JobSpec::descriptor();
  EXPECT_EQ(FieldOf(type, "steps"), FieldOf(type, "step_count"));
  EXPECT_EQ(KeyOf(*FieldOf(type, "step_count")), "steps");
  EXPECT_EQ(KeyOf(*FieldOf(type, "seed")), "seed");
  EXPECT_EQ(FieldOf(type, "nothing"), nullptr);
}

TEST(FieldNames, ZeroMeansWhatTheFieldSays) {
  const auto& type = *OptimizerSpec::descriptor();
  EXPECT_EQ(ZeroMeaningOf(*FieldOf(type, "clip_norm")), ZeroMeaning::kNone);
  EXPECT_EQ(ZeroMeaningOf(*FieldOf(type, "beta1")), ZeroMeaning::kTaken);
  EXPECT_EQ(ZeroMeaningOf(*FieldOf(*JobSpec::descriptor(), "seed")),
            ZeroMeaning::kZero);
}

TEST(FieldNames, SuggestsTheNearestKeyAndNoFarOne) {
  const auto& type = *JobSpec::descriptor();
  EXPECT_EQ(SuggestKey(type, "datset"), "dataset");
  EXPECT_EQ(SuggestKey(type, "Max-Workers"), "max_workers");
  EXPECT_EQ(SuggestKey(type, "expert_counts"),
            "model.feed_forward.lory.expert_count");
  EXPECT_EQ(SuggestKey(type, "gpu"), "");
}

TEST(EditDistance, CountsASwapOfNeighboursOnce) {
  EXPECT_EQ(EditDistance("lenght", "length"), 1);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

}  // namespace
}  // namespace lory::config
