#include "tools/model/eval/measure_text.h"

#include <cmath>
#include <numbers>

#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/model/eval/eval_data.h"

namespace lory::eval {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::kLength;
using ::lory::model::kSegment;
using ::lory::model::kVocabulary;
using ::lory::model::LorySpec;
using ::lory::model::MakeModel;

TEST(LossSums, KnowTheirMeanAndHowSureItIs) {
  LossSums sums;
  const std::vector<double> losses = {2, 3, 7, 4};
  for (const double loss : losses) sums.AddWindow(loss * 10, 10, 8);
  sums.AddWindow(99, 0, 0);  // no token: not there
  EXPECT_EQ(sums.token_count(), 40);
  EXPECT_EQ(sums.window_count(), 4);
  EXPECT_DOUBLE_EQ(sums.Mean(), 4);
  EXPECT_DOUBLE_EQ(sums.Perplexity(), std::exp(4.0));
  EXPECT_DOUBLE_EQ(sums.BitsPerByte(), 160 / std::numbers::ln2 / 32);
  // Windows of one size: the standard error of four numbers.
  double squares = 0;
  for (const double loss : losses) squares += (loss - 4) * (loss - 4);
  EXPECT_NEAR(sums.StandardError(), std::sqrt(squares / 3 / 4), 1e-12);
  LossSums one;
  one.AddWindow(5, 1, 0);
  EXPECT_EQ(one.StandardError(), 0);
  EXPECT_EQ(one.BitsPerByte(), 0);
  EXPECT_EQ(LossSums().Mean(), 0);
  LossSums both = sums;
  both.Add(one);
  EXPECT_DOUBLE_EQ(both.Mean(), 165.0 / 41);
}

// What MeasureText must find, by all logits of each window.
LossSums Expected(const lory::model::Transformer& model, const TextSet& text,
                  size_t first) {
  LossSums sums;
  for (int64_t i = 0; i < text.window_count; ++i) {
    Window window;
    EXPECT_OK(text.read(i, window));
    std::vector<int64_t> tokens = window.tokens;
    tokens.push_back(window.targets.back());
    const std::vector<double> found = LogProbabilities(model, tokens);
    double loss = 0;
    int64_t count = 0, bytes = 0;
    for (size_t at = first; at < found.size(); ++at) {
      if (window.targets[at] < 0) continue;
      loss -= found[at];
      bytes += window.targets[at] + 1;
      ++count;
    }
    sums.AddWindow(loss, count, bytes);
  }
  return sums;
}

TEST(MeasureText, IsTheCrossEntropyOfAllLogits) {
  const lory::model::SingleThread single_thread;
  lory::testing::CapturedProgress captured;
  for (const auto& spec : {DenseSpec(), LorySpec()}) {
    const auto model = MakeModel(spec);
    std::vector<int64_t> tokens;
    for (int64_t i = 0; i < 61; ++i) tokens.push_back(i * i % kVocabulary);
    TextOptions options{.first_segment = kSegment};
    for (int64_t i = 0; i < kVocabulary; ++i) {
      options.token_bytes.inside.push_back(i + 1);
    }
    // 60 targets: five whole windows; windows that overlap; a short last one.
    for (const auto& [window, stride] :
         std::vector<std::pair<int64_t, int64_t>>{
             {kLength, kLength}, {kLength, 5}, {11, 11}, {8, 2}}) {
      const TextSet text = SlidingWindows("x", tokens, window, stride, 0);
      captured.progress().Start("text", 1);
      LORY_ASSERT_OK_AND_ASSIGN(
          const TextFigures figures,
          MeasureText(*model, text, options, nullptr, captured.progress()));
      for (const auto& [sums, first] : {std::pair(figures.all, int64_t{0}),
                                        std::pair(figures.rest, kSegment)}) {
        const LossSums expected =
            Expected(*model, text, static_cast<size_t>(first));
        EXPECT_EQ(sums.token_count(), expected.token_count());
        EXPECT_NEAR(sums.Mean(), expected.Mean(), 1e-5);
        EXPECT_NEAR(sums.StandardError(), expected.StandardError(), 1e-5);
        EXPECT_NEAR(sums.BitsPerByte(), expected.BitsPerByte(), 1e-5);
      }
      EXPECT_EQ(figures.all.token_count(), 60);
      EXPECT_EQ(figures.routing.has_value(), spec.feed_forward().has_lory());
    }
  }
}

// Words " a", " b" and so on behind the end of a document, 0, as tokenizers
// have them that put a space before every text.
class SpacedWords : public lory::text::Tokenizer {
 public:
  int64_t vocabulary_size() const override { return kVocabulary; }
  int32_t end_of_document_id() const override { return 0; }
  std::vector<int32_t> Encode(absl::string_view text) const override {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < text.size(); i += 2) ids.push_back(text[i] - '`');
    return ids;
  }
  std::string Decode(const std::vector<int32_t>& ids) const override {
    std::string text;
    for (const int32_t id : ids) text += TokenText(id);
    return text.empty() ? text : text.substr(1);
  }
  std::string TokenText(int32_t id) const override {
    return id == 0 ? "" : std::string(" ") + static_cast<char>('`' + id);
  }
};

TEST(MeasureText, CountsTheBytesOfTheTextsAndNoSpaceBeforeThem) {
  const lory::model::SingleThread single_thread;
  lory::testing::CapturedProgress captured;
  const auto model = MakeModel(DenseSpec());
  const SpacedWords tokenizer;
  std::vector<int64_t> tokens = {0};
  double bytes = 0;
  for (const std::string text : {"a b c", "d", "e f"}) {
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text)), text);
    for (const int32_t id : tokenizer.Encode(text)) tokens.push_back(id);
    tokens.push_back(0);
    bytes += static_cast<double>(text.size());
  }
  for (const int64_t window : {3, 4, 20}) {
    captured.progress().Start("text", 1);
    LORY_ASSERT_OK_AND_ASSIGN(
        const TextFigures figures,
        MeasureText(*model, SlidingWindows("x", tokens, window, window, 0),
                    {.token_bytes = BytesOfTokens(tokenizer)}, nullptr,
                    captured.progress()));
    EXPECT_NEAR(figures.all.Mean() * 9 / std::numbers::ln2 / bytes,
                figures.all.BitsPerByte(), 1e-9);
  }
}

TEST(MeasureText, StopsWhereTheTextCannotBeRead) {
  lory::testing::CapturedProgress captured;
  const auto model = MakeModel(DenseSpec());
  TextSet text = SlidingWindows("x", std::vector<int64_t>(50), 10, 10, 0);
  text.read = [](int64_t, Window&) { return absl::DataLossError("torn"); };
  EXPECT_THAT(MeasureText(*model, text, {}, nullptr, captured.progress()),
              lory::testing::StatusIs(absl::StatusCode::kDataLoss, "torn"));
}

}  // namespace
}  // namespace lory::eval
