#include "common/config/generation_labels.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::config {
namespace {

using ::lory::v1::JobSpec;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

JobSpec With(const std::string& token_ids, const std::string& generation) {
  JobSpec spec;
  if (!token_ids.empty()) (*spec.mutable_labels())[kTokenIdsLabel] = token_ids;
  if (!generation.empty()) {
    (*spec.mutable_labels())[kGenerationLabel] = generation;
  }
  return spec;
}

TEST(GenerationLabels, GenerationDecidesWhatEndsAnAnswer) {
  const std::string ids = R"({"bos_token_id": 1, "eos_token_id": 2})";
  EXPECT_THAT(EndTokens(JobSpec()), IsEmpty());
  EXPECT_THAT(EndTokens(With(ids, "")), ElementsAre(2));
  EXPECT_THAT(EndTokens(With(ids, R"({"temperature": 1})")), ElementsAre(2));
  EXPECT_THAT(EndTokens(With(ids, R"({"eos_token_id": 7})")), ElementsAre(7));
  EXPECT_THAT(EndTokens(With(ids, R"({"eos_token_id": [7, 9]})")),
              ElementsAre(7, 9));
}

TEST(GenerationLabels, WhatIsNoIdIsLeftOut) {
  for (const char* text :
       {"no JSON", "[]", R"({"eos_token_id": null})",
        R"({"eos_token_id": "</s>"})", R"({"eos_token_id": -1})",
        R"({"eos_token_id": {"a": 1}})"}) {
    EXPECT_THAT(EndTokens(With("", text)), IsEmpty()) << text;
  }
  EXPECT_THAT(EndTokens(With("", R"({"eos_token_id": [null, 4, 1.5]})")),
              ElementsAre(4));
}

TEST(GenerationLabels, StayWithTheWeightsUnlessSomebodySaysOtherwise) {
  JobSpec from = With("{}", R"({"eos_token_id": 7})");
  (*from.mutable_labels())["origin"] = "hf";
  JobSpec to = With("", R"({"eos_token_id": 9})");
  (*to.mutable_labels())["team"] = "language";
  KeepGenerationLabels(from, to);
  EXPECT_THAT(
      to.labels(),
      UnorderedElementsAre(Pair("team", "language"), Pair(kTokenIdsLabel, "{}"),
                           Pair(kGenerationLabel, R"({"eos_token_id": 9})")));
}

}  // namespace
}  // namespace lory::config
