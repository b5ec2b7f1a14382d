#include "tools/corpus/tokenize.h"

#include <string>
#include <utility>
#include <vector>

#include "common/text/byte_pair_tokenizer.h"
#include "common/text/split_pattern.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tools/corpus/byte_pair_trainer.h"

namespace lory::corpus {
namespace {

using ::lory::testing::CapturedProgress;
using ::lory::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;

// Without any b it would be seen at once that there is no match.
constexpr char kNoMatch[] = "cb";

struct TokenizeTest : ::testing::Test {
  StageResult Result(const std::vector<std::string>& texts) {
    auto writer = *DocumentStoreWriter::Create(folder.At("documents"));
    for (const std::string& text : texts) {
      EXPECT_OK(writer->Append(IdOfText(text), "", "d", text));
    }
    EXPECT_OK(writer->Finish());
    const auto documents = DocumentStore::Open(folder.At("documents"));
    EXPECT_OK(documents);
    auto result = Tokenize(*documents, tokenizer, folder.At("tokens"),
                           captured.progress());
    EXPECT_OK(result);
    return *std::move(result);
  }

  static text::BytePairTokenizer TokenizerThatGivesUp() {
    text::BytePairParts parts{.model = TrainBytePairs({}, 257)};
    // 2^n ways to cut n letters, none of which ends with b.
    parts.pre_tokenizer.emplace().steps.emplace_back(
        text::PreTokenizer::Split{*text::SplitPattern::Compile("(?:a|aa)+b")});
    return text::BytePairTokenizer(std::move(parts));
  }

  TemporaryFolder folder;
  CapturedProgress captured;
  const text::BytePairTokenizer tokenizer = TokenizerThatGivesUp();
};

TEST_F(TokenizeTest, SaysWhereAnExpressionGaveUp) {
  const std::string hard = std::string(40, 'a') + kNoMatch;
  const StageResult result = Result({hard, "aab c", hard + " aab"});
  EXPECT_EQ(result.figures.at("texts_given_up"), 2);
  EXPECT_EQ(result.figures.at("tokens"), 42 + 5 + 46 + 3);
  EXPECT_THAT(captured.Take(),
              HasSubstr("an expression of the tokenizer gave up on 2 texts"));
}

TEST_F(TokenizeTest, SaysNothingWhereNoneDid) {
  tokenizer.Encode(std::string(40, 'a') + kNoMatch);  // somebody else's
  const StageResult result = Result({"aab c", ""});
  EXPECT_EQ(result.figures.at("texts_given_up"), 0);
  EXPECT_THAT(captured.Take(), Not(HasSubstr("gave up")));
}

}  // namespace
}  // namespace lory::corpus
