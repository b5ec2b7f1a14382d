#include "tools/model/preset_figures.h"

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/model/say.h"

namespace lory::surgery {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

TEST(PresetFigures, AreThoseOfThePaper) {
  struct Row {
    const char* preset;
    const char* experts;
    const char* total;
    const char* active;
  };
  for (const Row& row : {Row{"lory-0.3b", "1", "(0.374 B)", "(0.374 B)"},
                         Row{"lory-0.3b", "8", "(1.827 B)", "(0.374 B)"},
                         Row{"lory-0.3b", "16", "(3.489 B)", "(0.374 B)"},
                         Row{"lory-0.3b", "32", "(6.811 B)", "(0.374 B)"},
                         Row{"lory-1.5b", "1", "(1.457 B)", "(1.457 B)"},
                         Row{"lory-1.5b", "8", "(7.800 B)", "(1.457 B)"},
                         Row{"lory-1.5b", "16", "(15.048 B)", "(1.457 B)"},
                         Row{"lory-1.5b", "32", "(29.545 B)", "(1.457 B)"}}) {
    LORY_ASSERT_OK_AND_ASSIGN(
        const Answer answer,
        Say({"inspect", "--preset", row.preset, "--experts", row.experts}));
    const size_t active = answer.text.find(", active ");
    ASSERT_NE(active, std::string::npos);
    EXPECT_THAT(answer.text.substr(0, active), HasSubstr(row.total));
    EXPECT_THAT(answer.text.substr(active), HasSubstr(row.active));
  }
}

TEST(PresetFigures, AreOfThePresetUnlessToldOtherwise) {
  LORY_ASSERT_OK_AND_ASSIGN(const Answer answer,
                            Say({"inspect", "--preset", "tiny", "--vocabulary",
                                 "4096", "-o", "json"}));
  const auto json = nlohmann::json::parse(answer.text);
  EXPECT_EQ(json["preset"], "tiny");
  EXPECT_EQ(json["model"]["expert_count"], 4);
  EXPECT_EQ(json["model"]["vocabulary_size"], 4096);
  EXPECT_NEAR(json["parameters"]["active"].get<double>(), 1.85e6, 1e4);
}

TEST(PresetFigures, WhatIsNoPresetIsToldWhatIs) {
  const auto refused = [](std::vector<std::string> more, const char* words) {
    std::vector<std::string> all = {"inspect"};
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_THAT(Say(all),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(words)));
  };
  refused({"--preset", "0.3b"}, "there is no 0.3b; there are tiny, small, ");
  refused({"--preset", "tiny", "--experts", "0"}, "--experts");
  refused({"--preset", "tiny", "--experts", "99999999999999"}, "--experts");
  refused({"--preset", "tiny", "--vocabulary", "1"}, "vocabulary_size");
  refused({}, "CHECKPOINT");
  refused({"step-1.gen-1", "--preset", "tiny"}, "--preset");
  refused({"step-1.gen-1", "--experts", "4"}, "--preset");
}

}  // namespace
}  // namespace lory::surgery
