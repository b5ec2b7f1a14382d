#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/text/tokenizer_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/model/eval/eval_data.h"
#include "tools/model/eval/choice_items.h"
#include "tools/model/eval/choice_scores.h"
#include "worker/model/merge_experts.h"

namespace lory::eval {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::LorySpec;
using ::lory::model::MakeModel;
using ::lory::model::Transformer;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseChoices, ReadsALineAnItem) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::vector<ChoiceItem> items,
      ParseChoices("{\"context\":\"1+1=\",\"choices\":[\"2\",\"3\"],"
                   "\"answer\":0}\n\n"
                   "{\"context\":\"\",\"choices\":[\" a\",\" b\",\" c\"],"
                   "\"answer\":2,\"task\":\"letters\",\"id\":9}\r\n",
                   "some/sums.jsonl", "sums"));
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].task, "sums");
  EXPECT_EQ(items[0].context, "1+1=");
  EXPECT_THAT(items[0].choices, ElementsAre("2", "3"));
  EXPECT_EQ(items[1].task, "letters");
  EXPECT_EQ(items[1].answer, 2);
  EXPECT_EQ(items[1].where(), "some/sums.jsonl:3");
}

TEST(ParseChoices, NamesFileLineAndField) {
  const std::string good =
      "{\"context\":\"a\",\"choices\":[\"b\",\"c\"],\"answer\":1}\n";
  for (const auto& [line, why] :
       std::vector<std::pair<std::string, std::string>>{
           {"not json", "no JSON object"},
           {"[1]", "no JSON object"},
           {"{\"choices\":[\"b\",\"c\"],\"answer\":0}", "context"},
           {"{\"context\":1,\"choices\":[\"b\",\"c\"],\"answer\":0}",
            "context"},
           {"{\"context\":\"a\",\"answer\":0}", "choices"},
           {"{\"context\":\"a\",\"choices\":[\"b\"],\"answer\":0}", "choices"},
           {"{\"context\":\"a\",\"choices\":[\"b\",\"\"],\"answer\":0}",
            "choices[1]"},
           {"{\"context\":\"a\",\"choices\":[\"b\",3],\"answer\":0}",
            "choices[1]"},
           {"{\"context\":\"a\",\"choices\":[\"b\",\"c\"]}", "answer"},
           {"{\"context\":\"a\",\"choices\":[\"b\",\"c\"],\"answer\":2}",
            "answer must be the number of a choice, 0 to 1"},
           {"{\"context\":\"a\",\"choices\":[\"b\",\"c\"],\"answer\":-1}",
            "answer"},
           {"{\"context\":\"a\",\"choices\":[\"b\",\"c\"],\"answer\":\"b\"}",
            "answer"},
           {"{\"context\":\"a\",\"choices\":[\"b\",\"c\"],\"answer\":0,"
            "\"task\":\"\"}",
            "task"}}) {
    EXPECT_THAT(ParseChoices(absl::StrCat(good, line), "x.jsonl", "x"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("x.jsonl:2"), HasSubstr(why))))
        << line;
  }
  EXPECT_THAT(ParseChoices("\n \n", "x.jsonl", "x"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("x.jsonl"), HasSubstr("no item"))));
}

struct ChoiceTest : ::testing::Test {
  ChoiceTest() {
    auto opened = lory::text::OpenTokenizer(
        WriteByteTokenizer(folder), {.vocabulary_size = kByteVocabulary});
    LORY_CHECK(opened.ok());
    tokenizer = std::move(opened->tokenizer);
  }

  ChoiceItem Item(const std::string& context,
                  std::vector<std::string> choices) const {
    return {.task = "t",
            .file = "t.jsonl",
            .line = 4,
            .context = context,
            .choices = std::move(choices)};
  }

  std::vector<ItemScores> Score(const Transformer& model,
                                const std::vector<ChoiceItem>& items,
                                Inference inference) {
    auto encoded =
        EncodeItems(*tokenizer, items, model.shape().sequence_length);
    LORY_CHECK(encoded.ok());
    captured.progress().Start("tasks", 1);
    auto scores =
        ScoreItems(model, items, *encoded, inference, captured.progress());
    LORY_CHECK(scores.ok());
    return *std::move(scores);
  }

  // The sum over the letters of `choice` after `context`, both bytes, by all
  // logits.
  static double ByHand(const Transformer& model, const std::string& context,
                       const std::string& choice) {
    const std::vector<double> all =
        LogProbabilities(model, ByteTokens(context + choice));
    double sum = 0;
    for (size_t i = context.size() - 1; i < all.size(); ++i) sum += all[i];
    return sum;
  }

  const lory::model::SingleThread single_thread;
  const TemporaryFolder folder;
  std::unique_ptr<lory::text::Tokenizer> tokenizer;
  lory::testing::CapturedProgress captured;
};

TEST_F(ChoiceTest, TheSpaceAtTheEndOfAContextIsTheChoices) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const EncodedItem encoded,
      EncodeItem(*tokenizer, Item("ab ", {"c", " \xC3\xA4"}), 12));
  EXPECT_EQ(encoded.context, ByteTokens("ab"));
  EXPECT_EQ(encoded.choices[0], ByteTokens(" c"));
  EXPECT_EQ(encoded.choices[1], ByteTokens("  \xC3\xA4"));
  EXPECT_THAT(encoded.bytes, ElementsAre(1, 2));
}

// The byte tokenizer, where the byte 7 stands before a text.
struct MarkedTokenizer final : lory::text::Tokenizer {
  explicit MarkedTokenizer(const lory::text::Tokenizer& of) : of(of) {}

  int64_t vocabulary_size() const override { return of.vocabulary_size(); }
  int32_t end_of_document_id() const override {
    return of.end_of_document_id();
  }
  lory::text::TextMarks marks() const override {
    return {.before = {7}, .after = {8}};
  }
  std::vector<int32_t> Encode(absl::string_view text) const override {
    return of.Encode(text);
  }
  std::string Decode(const std::vector<int32_t>& ids) const override {
    return of.Decode(ids);
  }

  const lory::text::Tokenizer& of;
};

TEST_F(ChoiceTest, MarksStandForAnEmptyContextAndBeforeNoOther) {
  const MarkedTokenizer marked(*tokenizer);
  LORY_ASSERT_OK_AND_ASSIGN(const EncodedItem none,
                            EncodeItem(marked, Item("", {"c", "d"}), 12));
  EXPECT_THAT(none.context, ElementsAre(7));
  EXPECT_EQ(none.choices[0], ByteTokens("c"));
  LORY_ASSERT_OK_AND_ASSIGN(const EncodedItem some,
                            EncodeItem(marked, Item("ab", {"c", "d"}), 12));
  EXPECT_EQ(some.context, ByteTokens("ab"));
  EXPECT_EQ(some.choices[0], ByteTokens("c"));
}

TEST_F(ChoiceTest, NothingToReadIsTheEndOfADocument) {
  LORY_ASSERT_OK_AND_ASSIGN(const EncodedItem encoded,
                            EncodeItem(*tokenizer, Item("", {"c", "d"}), 12));
  EXPECT_THAT(encoded.context, ElementsAre(kEndOfDocument));
  EXPECT_EQ(encoded.choices[1], ByteTokens("d"));
}

TEST_F(ChoiceTest, AnItemMustFitTheContext) {
  EXPECT_OK(EncodeItem(*tokenizer, Item("0123456789", {"a", "abc"}), 12));
  EXPECT_THAT(EncodeItem(*tokenizer, Item("0123456789", {"a", "abcd"}), 12),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("t.jsonl:4"), HasSubstr("14 tokens"),
                             HasSubstr("reads 12"), HasSubstr("abcd"))));
}

TEST_F(ChoiceTest, ADenseModelIsSummedByHand) {
  const auto model = MakeModel(OfBytes(DenseSpec()));
  const std::vector<ChoiceItem> items = {Item("the cat", {" sat", " x", " on"}),
                                         Item("a", {"b", "cdefgh"})};
  for (const Inference inference : {Inference::kPrompt, Inference::kSegment}) {
    const auto scores = Score(*model, items, inference);
    ASSERT_EQ(scores.size(), 2u);
    for (size_t i = 0; i < items.size(); ++i) {
      for (size_t c = 0; c < items[i].choices.size(); ++c) {
        EXPECT_NEAR(scores[i].log_likelihoods[c],
                    ByHand(*model, items[i].context, items[i].choices[c]),
                    1e-4);
        EXPECT_EQ(scores[i].tokens[c],
                  static_cast<int64_t>(items[i].choices[c].size()));
      }
    }
  }
}

TEST_F(ChoiceTest, PromptInferenceIsTheModelMergedForTheContext) {
  const auto model = MakeModel(OfBytes(LorySpec()));
  const auto item = Item("cat", {" sat", " x"});
  LORY_ASSERT_OK_AND_ASSIGN(const auto routing, lory::model::PromptRouting(
                                                    *model, ByteTokens("cat")));
  LORY_ASSERT_OK_AND_ASSIGN(const auto merged,
                            lory::model::MergeExperts(*model, routing));
  const std::vector<ChoiceItem> items = {item};
  const auto scores = Score(*model, items, Inference::kPrompt);
  for (size_t c = 0; c < item.choices.size(); ++c) {
    EXPECT_NEAR(scores[0].log_likelihoods[c],
                ByHand(*merged, item.context, item.choices[c]), 1e-4);
  }
}

TEST_F(ChoiceTest, SegmentInferenceIsTheModelWhereTheContextHasASegment) {
  const auto model = MakeModel(OfBytes(LorySpec()));
  const std::vector<ChoiceItem> items = {Item("at sea", {" sat", " x"})};
  const auto scores = Score(*model, items, Inference::kSegment);
  for (size_t c = 0; c < 2; ++c) {
    EXPECT_NEAR(scores[0].log_likelihoods[c],
                ByHand(*model, "at sea", items[0].choices[c]), 1e-4);
  }
  EXPECT_GT(
      std::abs(scores[0].log_likelihoods[0] -
               Score(*model, items, Inference::kPrompt)[0].log_likelihoods[0]),
      1e-3);
}

TEST_F(ChoiceTest, WhatAChoiceSaysDoesNotDependOnTheOthers) {
  auto soft = OfBytes(DenseSpec());
  auto* options = soft.mutable_feed_forward()->mutable_soft_moe();
  options->set_expert_count(3);
  options->set_slots_per_expert(2);
  options->set_allow_noncausal(true);
  for (const auto& spec : {OfBytes(LorySpec()), soft}) {
    const auto model = MakeModel(spec);
    const std::vector<ChoiceItem> together = {Item("ab", {"c", "defgh"})};
    const std::vector<ChoiceItem> apart = {Item("ab", {"c", "c"})};
    for (const Inference inference :
         {Inference::kPrompt, Inference::kSegment}) {
      EXPECT_NEAR(Score(*model, together, inference)[0].log_likelihoods[0],
                  Score(*model, apart, inference)[0].log_likelihoods[0], 1e-5);
    }
  }
}

TEST_F(ChoiceTest, AccuracyIsOfTheWholeByByteAndByToken) {
  const ChoiceItem first = Item("a", {"b", "c"});
  ChoiceItem second = Item("a", {"b", "c", "d"});
  second.answer = 2;
  const ChoiceItem other{.task = "other", .choices = {"x", "y"}, .answer = 1};
  const std::vector<ItemScores> scores = {
      // Right as a whole; by byte and token the longer one.
      {&first, {-2, -3}, {1, 2}, {1, 4}},
      // A draw goes to the first: wrong; by byte right.
      {&second, {-4, -5, -4}, {1, 1, 1}, {1, 1, 2}},
      {&other, {-2, -1}, {1, 1}, {1, 1}}};
  EXPECT_EQ(scores[0].Likeliest(), 0);
  EXPECT_EQ(scores[0].LikeliestByByte(), 1);
  EXPECT_EQ(scores[1].Likeliest(), 0);
  EXPECT_EQ(scores[1].LikeliestByByte(), 2);
  EXPECT_EQ(scores[1].LikeliestByToken(), 0);
  const std::vector<TaskFigures> tasks = SummariseTasks(scores);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].item_count, 2);
  EXPECT_NEAR(tasks[0].chance, (1.0 / 2 + 1.0 / 3) / 2, 1e-12);
  EXPECT_DOUBLE_EQ(tasks[0].raw.mean, 0.5);
  EXPECT_DOUBLE_EQ(tasks[0].raw.standard_error.value(), 0.5);
  EXPECT_DOUBLE_EQ(tasks[0].by_byte.mean, 0.5);
  EXPECT_DOUBLE_EQ(tasks[0].by_token.mean, 0);
  EXPECT_EQ(tasks[1].task, "other");
  EXPECT_DOUBLE_EQ(tasks[1].raw.mean, 1);
  EXPECT_EQ(tasks[1].raw.standard_error, std::nullopt);
}

TEST_F(ChoiceTest, WhatIsNotFiniteIsNeverChosen) {
  const ChoiceItem item = Item("a", {"b", "c"});  // the answer is b
  const std::vector<ItemScores> scores = {
      {&item, {NAN, NAN}, {1, 1}, {1, 1}},
      {&item, {-INFINITY, -INFINITY}, {1, 1}, {1, 1}},
      {&item, {NAN, -3}, {1, 1}, {1, 1}},
      {&item, {-3, NAN}, {1, 1}, {1, 1}}};
  EXPECT_EQ(scores[0].Likeliest(), -1);
  EXPECT_EQ(scores[1].LikeliestByByte(), -1);
  EXPECT_EQ(scores[2].LikeliestByToken(), 1);
  EXPECT_EQ(scores[3].Likeliest(), 0);
  const std::vector<TaskFigures> tasks = SummariseTasks(scores);
  EXPECT_EQ(tasks[0].unscored_count, 2);
  EXPECT_DOUBLE_EQ(tasks[0].raw.mean, 0.25);
  EXPECT_DOUBLE_EQ(tasks[0].by_byte.mean, 0.25);
  EXPECT_DOUBLE_EQ(tasks[0].by_token.mean, 0.25);
}

}  // namespace
}  // namespace lory::eval
