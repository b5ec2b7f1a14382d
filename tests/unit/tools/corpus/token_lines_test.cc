#include "tools/corpus/token_lines.h"

#include <fstream>
#include <sstream>

#include "common/text/byte_pair_model.h"
#include "common/text/byte_pair_tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tools/corpus/byte_pair_trainer.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

struct TokenLinesTest : ::testing::Test {
  // What is written; the end of it is `status`.
  std::string Printed(TokenLinesMode mode, const std::string& input) {
    std::istringstream in(input);
    std::ostringstream out;
    status = PrintTokenLines(tokenizer, mode, in, out);
    return out.str();
  }

  const text::BytePairTokenizer tokenizer{TrainBytePairs({}, 257)};
  absl::Status status;
};

TEST_F(TokenLinesTest, OneTextIsOneArray) {
  // Bytes are numbered from 1 by their characters, "!" first; "\n" is later.
  EXPECT_EQ(Printed(TokenLinesMode::kWhole, "!\"!"), "[1,2,1]\n");
  EXPECT_EQ(Printed(TokenLinesMode::kWhole, ""), "[]\n");
}

TEST_F(TokenLinesTest, LinesAreTextsAndTheirIdsAreLines) {
  EXPECT_EQ(Printed(TokenLinesMode::kLines, "\"!\"\n\"\"\n\"\\\"#\"\n"),
            "[1]\n[]\n[2,3]\n");
  EXPECT_EQ(Printed(TokenLinesMode::kDecode, "[1]\n[]\n[2, 3]"),
            "\"!\"\n\"\"\n\"\\\"#\"\n");
  EXPECT_OK(status);
}

TEST_F(TokenLinesTest, NamesTheLineThatIsWrong) {
  EXPECT_EQ(Printed(TokenLinesMode::kLines, "\"!\"\n7\n"), "[1]\n");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("standard input:2: no JSON string")));
  EXPECT_EQ(Printed(TokenLinesMode::kDecode, "[-1]"), "");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("array of token ids")));
  EXPECT_EQ(Printed(TokenLinesMode::kDecode, "[1]\n[1, 999]"), "\"!\"\n");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("input:2: token 999 is not in the "
                                         "vocabulary of 257")));
}

// A disk that is full, a folder in place of a file.
TEST_F(TokenLinesTest, SaysWhatCannotBeReadOrWritten) {
  for (const auto mode : {TokenLinesMode::kWhole, TokenLinesMode::kLines}) {
    std::istringstream in("\"!\"\n");
    std::ofstream full("/dev/full");
    EXPECT_THAT(
        PrintTokenLines(tokenizer, mode, in, full),
        StatusIs(absl::StatusCode::kDataLoss, HasSubstr("standard output")));
    std::ifstream folder("/");
    std::ostringstream out;
    EXPECT_THAT(
        PrintTokenLines(tokenizer, mode, folder, out),
        StatusIs(absl::StatusCode::kDataLoss, HasSubstr("standard input")));
    EXPECT_EQ(out.str(), "");
  }
}

}  // namespace
}  // namespace lory::corpus
