#include "common/text/tokenizer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/text/byte_pair_model.h"
#include "common/text/byte_pair_tokenizer.h"
#include "common/text/tokenizer_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::text {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Words(absl::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t bytes = FirstWordBytes(text);
    EXPECT_GT(bytes, 0u);
    if (bytes == 0) break;
    words.push_back(std::string(text.substr(0, bytes)));
    text.remove_prefix(bytes);
  }
  return words;
}

// The 256 bytes, the end mark, and the joins named.
BytePairModel ModelWith(
    const std::vector<std::pair<std::string, std::string>>& joins) {
  BytePairModel model;
  model.tokens.push_back("");
  model.end_of_document_id = 0;
  for (const uint8_t byte : ByteAlphabet()) {
    model.tokens.push_back(std::string(1, static_cast<char>(byte)));
  }
  const auto id_of = [&](const std::string& token) {
    return static_cast<int32_t>(
        std::find(model.tokens.begin(), model.tokens.end(), token) -
        model.tokens.begin());
  };
  for (const auto& [left, right] : joins) {
    model.merges.emplace_back(id_of(left), id_of(right));
    model.tokens.push_back(left + right);
  }
  return model;
}

BytePairModel Example() {
  return ModelWith({{"h", "e"},
                    {"l", "l"},
                    {"he", "ll"},
                    {"hell", "o"},
                    {" ", "w"},
                    {"a", "a"},
                    {"aa", "aa"},
                    {"b", "c"},
                    {"a", "b"}});
}

std::vector<std::string> Pieces(const Tokenizer& tokenizer,
                                absl::string_view text) {
  std::vector<std::string> pieces;
  for (const int32_t id : tokenizer.Encode(text)) {
    pieces.push_back(tokenizer.Decode({id}));
  }
  return pieces;
}

std::string RandomBytes(Random& random, size_t size, int alphabet) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) {
    bytes += static_cast<char>(random.Below(alphabet));
  }
  return bytes;
}

TEST(FirstWordBytes, SplitsAsTheDocumentedPatternDoes) {
  EXPECT_THAT(Words("Hello, big world's end"),
              ElementsAre("Hello", ",", " big", " world", "'s", " end"));
  EXPECT_THAT(Words("we'll they've you're I'd I'm can't 'tis"),
              ElementsAre("we", "'ll", " they", "'ve", " you", "'re", " I",
                          "'d", " I", "'m", " can", "'t", " '", "tis"));
  EXPECT_THAT(Words("year 2024, 12345x"),
              ElementsAre("year", " 202", "4", ",", " 123", "45", "x"));
  EXPECT_THAT(Words("a  b\n\n  c \n"),
              ElementsAre("a", " ", " b", "\n\n ", " c", " \n"));
  EXPECT_THAT(Words("x\ny"), ElementsAre("x", "\n", "y"));
  EXPECT_THAT(Words("if (a==b) {"),
              ElementsAre("if", " (", "a", "==", "b", ")", " {"));
  EXPECT_THAT(Words(" "), ElementsAre(" "));
  EXPECT_THAT(Words("na\u00efve \u4f60\u597d\u3002x"),
              ElementsAre("na\u00efve", " \u4f60\u597d\u3002x"));
}

TEST(FirstWordBytes, LosesNoByte) {
  Random random(3);
  for (int i = 0; i < 300; ++i) {
    const std::string text = RandomBytes(random, random.Below(60), 256);
    std::string joined;
    for (const std::string& word : Words(text)) joined += word;
    EXPECT_EQ(joined, text);
  }
}

TEST(BytePairTokenizer, JoinsTheMostUrgentPairFirst) {
  const BytePairTokenizer tokenizer(Example());
  EXPECT_THAT(Pieces(tokenizer, "hello world"),
              ElementsAre("hello", " w", "o", "r", "l", "d"));
  // b+c is more urgent than a+b, although a+b comes first in the text.
  EXPECT_THAT(Pieces(tokenizer, "abc"), ElementsAre("a", "bc"));
}

TEST(BytePairTokenizer, JoinsEqualPairsFromTheLeft) {
  const BytePairTokenizer tokenizer(Example());
  EXPECT_THAT(Pieces(tokenizer, "aaaaaaa"), ElementsAre("aaaa", "aa", "a"));
}

TEST(BytePairTokenizer, LongWordsAreEncodedAsIfTheyWereShort) {
  // The queue for long words against the plain definition.
  const BytePairModel model = Example();
  const BytePairTokenizer tokenizer(model);
  Random random(4);
  for (int i = 0; i < 50; ++i) {
    std::string word;
    for (int j = 0; j < 200; ++j) word += "abcheloll"[random.Below(9)];
    std::vector<std::string> parts;
    for (const char c : word) parts.push_back(std::string(1, c));
    for (bool joined = true; joined;) {
      joined = false;
      for (const auto& [left, right] : model.merges) {
        for (size_t k = 0; k + 1 < parts.size(); ++k) {
          if (parts[k] == model.tokens[left] &&
              parts[k + 1] == model.tokens[right]) {
            parts[k] += parts[k + 1];
            parts.erase(parts.begin() + static_cast<int64_t>(k) + 1);
            joined = true;
            break;
          }
        }
        if (joined) break;
      }
    }
    EXPECT_EQ(Pieces(tokenizer, word), parts) << word;
  }
}

TEST(BytePairTokenizer, DecodingUndoesEncodingForAnyBytes) {
  const BytePairTokenizer tokenizer(Example());
  Random random(5);
  for (int i = 0; i < 500; ++i) {
    const std::string text = RandomBytes(random, random.Below(400), 256);
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text)), text);
  }
  const std::string unicode =
      "Gr\u00fc\u00dfe, \u4e16\u754c! \U0001F600 \u0915\u094d\u0937 a\u0301";
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(unicode)), unicode);
  EXPECT_TRUE(tokenizer.Encode("").empty());
}

TEST(BytePairTokenizer, TextCannotForgeTheEndOfADocument) {
  const BytePairTokenizer tokenizer(Example());
  for (const int32_t id : tokenizer.Encode("a<|endoftext|>b")) {
    EXPECT_NE(id, tokenizer.end_of_document_id());
  }
}

TEST(BytePairTokenizer, UnknownIdsBecomeNothing) {
  const BytePairTokenizer tokenizer(Example());
  EXPECT_EQ(tokenizer.Decode({-1, 0, 100'000}), "");
}

struct TokenizerJsonTest : ::testing::Test {
  absl::StatusOr<BytePairModel> ParseWith(absl::string_view from,
                                          absl::string_view to) {
    EXPECT_THAT(json, HasSubstr(std::string(from)));
    LORY_ASSIGN_OR_RETURN(
        BytePairParts parts,
        ParseTokenizerJson(absl::StrReplaceAll(json, {{from, to}})));
    return std::move(parts.model);
  }
  void ExpectRefused(absl::string_view from, absl::string_view to,
                     const std::string& why) {
    EXPECT_THAT(ParseWith(from, to),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)))
        << to;
  }

  const BytePairModel model = Example();
  const std::string json = SerializeBytePairModel(model);
};

TEST_F(TokenizerJsonTest, SurvivesTheRoundTrip) {
  LORY_ASSERT_OK_AND_ASSIGN(const BytePairParts read, ParseTokenizerJson(json));
  EXPECT_EQ(read.model.tokens, model.tokens);
  EXPECT_EQ(read.model.merges, model.merges);
  EXPECT_EQ(read.model.end_of_document_id, 0);
  EXPECT_EQ(read.model.end_of_document, "<|endoftext|>");
  EXPECT_FALSE(read.pre_tokenizer.has_value());  // ours, as code
}

TEST_F(TokenizerJsonTest, MergesMayBePairsAsInNewerFiles) {
  LORY_ASSERT_OK_AND_ASSIGN(const BytePairModel read,
                            ParseWith(R"("h e")", R"(["h", "e"])"));
  EXPECT_EQ(read.merges, model.merges);
}

TEST_F(TokenizerJsonTest, LoadsFromDiskAndNamesTheFile) {
  TemporaryFolder folder;
  LORY_ASSERT_OK_AND_ASSIGN(const auto tokenizer,
                            LoadTokenizer(folder.Write("t.json", json)));
  EXPECT_EQ(tokenizer->vocabulary_size(), 266);
  EXPECT_EQ(tokenizer->Encode("hello").size(), 1u);
  EXPECT_THAT(LoadTokenizer(folder.Write("u.json", "{}")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("u.json: it has no model")));
  EXPECT_TRUE(absl::IsNotFound(LoadTokenizer(folder.At("no")).status()));
}

TEST_F(TokenizerJsonTest, NamesWhatIsNotSupported) {
  ExpectRefused(R"("type": "BPE")", R"("type": "Unigram")", "Unigram");
  ExpectRefused(R"("dropout": null)", R"("dropout": 0.1)", "model.dropout");
  ExpectRefused(R"("end_of_word_suffix": null)",
                R"("end_of_word_suffix": "</w>")", "end_of_word_suffix");
  ExpectRefused(R"("normalizer": null)",
                R"("normalizer": {"type": "Lowercase"})",
                "the normalizer Lowercase");
  ExpectRefused(R"("type":"Split")", R"("type":"BertPreTokenizer")",
                "the pre_tokenizer BertPreTokenizer");
  ExpectRefused(R"("behavior":"Isolated")", R"("behavior":"Sideways")",
                "the behavior Sideways");
  ExpectRefused("'(?:[sdmt]", "'(?i)(?:[sdmt]", "the group (?i)");
  ExpectRefused(R"("decoder": {"type":"ByteLevel")",
                R"("decoder": {"type":"WordPiece")", "the decoder WordPiece");
  ExpectRefused(R"("pre_tokenizer": {"type":"Sequence")",
                R"("pre_tokenizer": null, "was": {"type":"Sequence")",
                "no tokens for bytes");
}

TEST_F(TokenizerJsonTest, OurWordsAreTheSameAsAnExpression) {
  // Another behavior makes it somebody else's, done by the expression.
  LORY_ASSERT_OK_AND_ASSIGN(
      BytePairParts parts,
      ParseTokenizerJson(absl::StrReplaceAll(
          json, {{R"("behavior":"Isolated","invert":false)",
                  R"("behavior":"Removed","invert":true)"}})));
  ASSERT_TRUE(parts.pre_tokenizer.has_value());
  const BytePairTokenizer by_expression(std::move(parts));
  const BytePairTokenizer ours(model);
  Random random(6);
  const std::vector<std::string> bits = {
      "he", "ll", "o",      " ",      " ", "\n", "'ll", "'",  "we",
      "12", "3",  "\u00e9", "\u4f60", "(", "==", "\t",  "bc", "\x7f"};
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (int j = 0; j < 12; ++j) text += bits[random.Below(bits.size())];
    EXPECT_EQ(by_expression.Encode(text), ours.Encode(text)) << text;
  }
}

TEST_F(TokenizerJsonTest, RefusesModelsThatCannotEncode) {
  ExpectRefused(R"("z": )", R"("zz": )", "byte 122");
  ExpectRefused(R"("he": 257)", R"("he": 258)", "twice");
  ExpectRefused(R"("he": 257)", R"("he": -1)", "out of range");
  ExpectRefused(R"("he": 257)", R"("he": 99999999999)", "out of range");
  ExpectRefused(R"("h e")", R"("h q")", "model.merges[0]");
  ExpectRefused(R"("h e")", R"("he")", "model.merges[0]");
  ExpectRefused(R"("h e")", "7", "model.merges[0]");
  ExpectRefused(R"({"id":0,)", R"({"id":5,)", "added_tokens");
  ExpectRefused(R"({"id":0,)", R"({"id":-5,)", "added_tokens");
}

TEST_F(TokenizerJsonTest, RefusesEveryTruncation) {
  for (size_t size = 0; size + 3 < json.size(); size += 11) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        ParseTokenizerJson(json.substr(0, size)).status()));
  }
}

std::string WithoutSpaces(absl::string_view text) {
  return absl::StrReplaceAll(text, {{" ", ""}});
}

// What is taken in spite of it encodes any text and gives it back, but for
// spaces, which it may ask to be put before words.
TEST(TokenizerJsonMutations, AreReadOrRefused) {
  const std::string good = SerializeBytePairModel(Example());
  std::string text = "hello well\xff\xc3(\n  aaaa bcab ";
  for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
  testing::Mutations mutations(20261129);
  int refused = 0;
  for (int i = 0; i < 5000; ++i) {
    absl::StatusOr<BytePairParts> parts =
        ParseTokenizerJson(mutations.Of(good));
    refused += !parts.ok();
    if (!parts.ok()) continue;
    const BytePairTokenizer tokenizer(*std::move(parts));
    EXPECT_EQ(WithoutSpaces(tokenizer.Decode(tokenizer.Encode(text))),
              WithoutSpaces(text))
        << i;
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 4990);
}

}  // namespace
}  // namespace lory::text
