#include "tools/model/eval/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/model/eval/eval_data.h"
#include "tools/model/eval/evaluate.h"
#include "tools/model/eval/heat_map.h"
#include "tools/model/eval/tables.h"

namespace lory::eval {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::kSegment;
using ::lory::model::kVocabulary;
using ::lory::model::LorySpec;
using ::lory::model::MakeModel;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TextSet MadeUp(const std::string& name, int64_t size) {
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i <= size; ++i) tokens.push_back(i * i % kVocabulary);
  TextSet set = SlidingWindows(name, tokens, 12, 12, 0);
  set.is_file = false;
  return set;
}

Evaluation Evaluated(const lory::v1::ModelSpec& spec, Request request) {
  lory::testing::CapturedProgress captured;
  Evaluation evaluation{.checkpoint = "step-7.gen-1", .job = "jobs/x"};
  const lory::model::SingleThread single_thread;
  EXPECT_OK(
      Evaluate(*MakeModel(spec), request, captured.progress(), evaluation));
  return evaluation;
}

Request Texts() {
  Request request{.texts = {MadeUp("a", 40), MadeUp("<b>, \"c\"", 25)},
                  .first_segment = kSegment,
                  .utilisation_window = 3};
  request.texts[1].kept_out = true;
  return request;
}

int64_t Lines(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

TEST(Report, SaysAllThatWasMeasured) {
  const Evaluation evaluation = Evaluated(LorySpec(), Texts());
  const auto json = nlohmann::json::parse(ToJson(evaluation));
  EXPECT_EQ(json["kind"], "lory.evaluation");
  EXPECT_EQ(json["leak_length"], 4);
  EXPECT_EQ(json["texts"][0]["all"]["tokens"], 40);
  // The last window has four tokens: nothing of it is behind a segment.
  EXPECT_EQ(json["texts"][0]["rest"]["tokens"], 24);
  EXPECT_EQ(json["texts"][1]["kept_out"], true);
  EXPECT_EQ(json["texts"][0]["routing"].size(), 2u);
  EXPECT_EQ(json["texts"][0]["routing"][1]["mean_weights"].size(), 4u);
  EXPECT_EQ(json["routing"]["unit"], "segment");
  // What was kept out is in a total of its own.
  EXPECT_EQ(json["totals"][0]["name"], "all domains");
  EXPECT_EQ(json["totals"][0]["all"], json["texts"][0]["all"]);
  EXPECT_EQ(json["totals"][1]["name"], "kept-out domains");
  EXPECT_EQ(json["totals"][1]["rest"], json["texts"][1]["rest"]);

  const std::string text = ToText(evaluation);
  EXPECT_THAT(text, AllOf(HasSubstr("lory, 4 experts"), HasSubstr("after 4"),
                          HasSubstr("windows of 12 tokens, stride 12"),
                          HasSubstr("* kept out of training"),
                          HasSubstr("kept-out domains"),
                          HasSubstr("the first 4 positions see each other"),
                          Not(HasSubstr("not causal"))));
}

TEST(Report, MarksWhatIsNotCausal) {
  auto spec = DenseSpec();
  auto* options = spec.mutable_feed_forward()->mutable_smear();
  options->set_expert_count(2);
  options->set_allow_noncausal(true);
  const Evaluation evaluation = Evaluated(spec, Texts());
  const std::string text = ToText(evaluation);
  int marked = 0;
  for (const absl::string_view line :
       absl::StrSplit(text.substr(0, text.find("\nrouting")), '\n')) {
    if (!absl::StartsWith(line, "a ") && !absl::StrContains(line, "domains ")) {
      continue;
    }
    EXPECT_TRUE(absl::EndsWith(line, "  not causal")) << line;
    ++marked;
  }
  EXPECT_EQ(marked, 3);
  EXPECT_THAT(text, HasSubstr("no likelihood"));
  EXPECT_FALSE(nlohmann::json::parse(ToJson(evaluation))["causal"]);
  EXPECT_THAT(DomainsCsv(evaluation), HasSubstr("a,domain,false,false,12,12"));
}

TEST(Report, OfATokenLevelVariantNamesTheTokens) {
  auto spec = DenseSpec();
  auto* options = spec.mutable_feed_forward()->mutable_token_choice();
  options->set_expert_count(4);
  options->set_top_k(1);
  options->set_router_init_stddev(1);
  Request request = Texts();
  request.marked_tokens = 2;
  const Evaluation evaluation = Evaluated(spec, request);
  ASSERT_FALSE(evaluation.tokens.empty());
  for (const MarkedToken& token : evaluation.tokens) {
    EXPECT_GT(token.share.lift, 1);
  }
  EXPECT_THAT(ToText(evaluation), HasSubstr("tokens that mark an expert"));
  EXPECT_EQ(Lines(TokensCsv(evaluation)),
            1 + static_cast<int64_t>(evaluation.tokens.size()));
}

TEST(Report, ADenseModelHasNoRouting) {
  const Evaluation evaluation = Evaluated(DenseSpec(), Texts());
  EXPECT_FALSE(evaluation.routing.has_value());
  EXPECT_THAT(ToText(evaluation),
              AllOf(HasSubstr("dense"), Not(HasSubstr("routing"))));
  EXPECT_FALSE(nlohmann::json::parse(ToJson(evaluation)).contains("routing"));
}

TEST(Tables, HaveALineForEachThing) {
  const Evaluation evaluation = Evaluated(LorySpec(), Texts());
  const std::string domains = DomainsCsv(evaluation);
  EXPECT_EQ(Lines(domains), 1 + 2 + 2);
  EXPECT_THAT(domains, HasSubstr("\n\"<b>, \"\"c\"\"\",domain,true,true,12"));
  const std::string weights = SpecialisationCsv(evaluation);
  EXPECT_EQ(Lines(weights), 1 + 2 * 2 * 4);
  const std::vector<RoutingFigures> layers =
      evaluation.texts[0].figures.routing->Figures();
  EXPECT_THAT(weights, HasSubstr(absl::StrFormat("\na,1,3,%.6g\n",
                                                 layers[1].mean_weights[3])));
  const std::string routing = RoutingCsv(evaluation);
  EXPECT_EQ(Lines(routing), 1 + 3 * 2);
  EXPECT_THAT(routing, HasSubstr("\n*,1,"));
  // As many fields in every line, names included.
  for (const std::string& table : {weights, routing}) {
    std::set<int64_t> commas;
    for (const absl::string_view line :
         absl::StrSplit(table, '\n', absl::SkipEmpty())) {
      if (absl::StartsWith(line, "\"")) continue;
      commas.insert(std::count(line.begin(), line.end(), ','));
    }
    EXPECT_EQ(commas.size(), 1u) << table;
  }
}

TEST(HeatMap, HasACellForEachWeight) {
  const Evaluation evaluation = Evaluated(LorySpec(), Texts());
  const std::string svg = SpecialisationSvg(evaluation);
  const auto count = [&](absl::string_view what) {
    return static_cast<int64_t>(
               std::vector<std::string>(absl::StrSplit(svg, what)).size()) -
           1;
  };
  EXPECT_EQ(count("</title></rect>"), 2 * 2 * 4 + 11);  // and the legend's
  EXPECT_EQ(count("<text"), count("</text>"));
  EXPECT_EQ(count("<b>"), 0);
  EXPECT_EQ(count("&lt;b&gt;, &quot;c&quot;*"), 2);
  EXPECT_THAT(svg, AllOf(HasSubstr("<svg xmlns"), HasSubstr("layer 1<")));
}

}  // namespace
}  // namespace lory::eval
