#include "tools/corpus/embed.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/tools/corpus/hashed_rows.h"
#include "tests/unit/tools/corpus/one_core.h"

namespace lory::corpus {
namespace {

constexpr int32_t kDimensions = 256;

struct EmbedTest : ::testing::Test {
  std::vector<float> Rows(const std::vector<std::string>& texts) {
    return HashedRows(texts, kDimensions);
  }
  double Cosine(const std::vector<float>& rows, int a, int b) {
    return Similarity(rows.data() + a * kDimensions,
                      rows.data() + b * kDimensions, kDimensions);
  }

  const std::vector<std::string> texts = {
      "the cat sat on the mat and purred at the cat",
      "the compiler parses the source and emits code",
      "a cat purred; the other cat sat on a mat",
      "the linker joins code that the compiler emits", ""};
};

TEST_F(EmbedTest, RowsHaveUnitLengthAndEmptyTextsHaveNone) {
  const auto rows = Rows(texts);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(Cosine(rows, i, i), 1, 1e-5);
  EXPECT_EQ(Cosine(rows, 4, 4), 0);
}

TEST_F(EmbedTest, RelatedTextsAreMoreSimilar) {
  const auto rows = Rows(texts);
  EXPECT_GT(Cosine(rows, 0, 2), Cosine(rows, 0, 1) + 0.2);
  EXPECT_GT(Cosine(rows, 1, 3), Cosine(rows, 2, 3) + 0.1);
}

TEST_F(EmbedTest, CaseAndPunctuationDoNotMatter) {
  const auto rows = Rows({"Alpha, beta!", "ALPHA (beta)", "gamma delta"});
  EXPECT_NEAR(Cosine(rows, 0, 1), 1, 1e-5);
}

TEST_F(EmbedTest, WordsThatEverybodyHasCountForNothing) {
  const auto rows = Rows({"common one", "common two", "common three"});
  EXPECT_NEAR(Cosine(rows, 0, 1), 0, 0.2);
}

TEST_F(EmbedTest, DoesNotDependOnWhichThreadDoesWhat) {
  std::vector<std::string> many;
  for (int i = 0; i < 500; ++i) {
    many.push_back(texts[i % 4] + " " + std::to_string(i % 37));
  }
  const std::vector<float> rows = Rows(many);
  const OneCore one_core;
  EXPECT_EQ(Rows(many), rows);
}

}  // namespace
}  // namespace lory::corpus
