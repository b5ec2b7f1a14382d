#include "common/text/sentence_piece_json.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/text/sentence_piece_model.h"
#include "common/text/tokenizer_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/sentence_piece_file.h"
#include "tests/support/status_matchers.h"

// Whether Hugging Face's libraries read the file so is asked by
// tests/interop/round_trip_test.py.
namespace lory::text {
namespace {

using ::lory::testing::PieceField;
using ::lory::testing::PieceType;
using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ModelFile = ::lory::testing::SentencePieceFile;

// `texts` as pieces, the first the most urgent.
std::string Pieces(const std::vector<std::string>& texts) {
  std::string fields;
  float score = 0;
  for (const std::string& text : texts) {
    fields += PieceField(text, score--, PieceType::kNormal);
  }
  return fields;
}

BytePairParts PartsOf(const ModelFile& file) {
  auto parts = ParseSentencePieceModel(file.Bytes());
  EXPECT_OK(parts);
  return *std::move(parts);
}

BytePairTokenizer ReadBack(const BytePairParts& parts) {
  const auto json = SentencePiecesAsJson(parts);
  EXPECT_OK(json);
  auto read = ParseTokenizerJson(*json);
  EXPECT_OK(read);
  return BytePairTokenizer(*std::move(read));
}

const std::vector<std::string>& Words() {
  static const auto& words =
      *new std::vector<std::string>{"\u2581",   "a",
                                    "b",        "c",
                                    "ab",       "\u2581a",
                                    "\u2581ab", "\u2581\u2581",
                                    "bc",       "\u2581\u2581\u2581\u2581"};
  return words;
}

TEST(SentencePieceJson, HasTheSameTokensTextsAndMarks) {
  for (const bool prefix : {true, false}) {
    BytePairParts parts =
        PartsOf({.pieces = Pieces(Words()), .add_dummy_prefix = prefix});
    parts.marks = {.before = {1}, .after = {2}};
    const BytePairTokenizer json = ReadBack(parts);
    const BytePairTokenizer model(parts);
    EXPECT_EQ(json.vocabulary_size(), model.vocabulary_size());
    EXPECT_EQ(json.end_of_document_id(), 2);
    EXPECT_EQ(json.begin_of_text(), "<s>");
    EXPECT_THAT(json.marks().before, ElementsAre(1));
    EXPECT_THAT(json.marks().after, ElementsAre(2));
    for (const std::string text :
         {"", " ", "ab", " ab", "  a  b   ", "\u00e9\n\t", "a\u2581 b", "</s>",
          "<0x41>", "abcabc \U0001F600 ab"}) {
      EXPECT_EQ(json.Encode(text), model.Encode(text)) << text;
      EXPECT_EQ(json.Decode(model.Encode(text)),
                model.Decode(model.Encode(text)));
    }
  }
}

TEST(SentencePieceJson, UserDefinedSymbolsAreFoundWhereNoSpaceIsPutBefore) {
  ModelFile file{
      .pieces = Pieces(Words()) + PieceField("<t>", 0, PieceType::kUserDefined),
      .add_dummy_prefix = false};
  const BytePairParts parts = PartsOf(file);
  const BytePairTokenizer json = ReadBack(parts);
  for (const std::string text : {"<t>", "ab<t> a", "<t><t>b <t"}) {
    EXPECT_EQ(json.Encode(text), BytePairTokenizer(parts).Encode(text));
  }
  file.add_dummy_prefix = true;
  EXPECT_THAT(SentencePiecesAsJson(PartsOf(file)),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("user-defined symbols")));
}

TEST(SentencePieceJson, WhatItCannotSayIsNamed) {
  const auto refused = [](const ModelFile& file, const char* why) {
    EXPECT_THAT(SentencePiecesAsJson(PartsOf(file)),
                StatusIs(absl::StatusCode::kUnimplemented, HasSubstr(why)));
  };
  refused({.pieces = PieceField("a", -1, PieceType::kNormal) +
                     PieceField("b", -2, PieceType::kNormal) +
                     PieceField("ab", -3, PieceType::kNormal) +
                     PieceField("ba", -3, PieceType::kNormal)},
          "the pieces 'ab' and 'ba' have one score");
  refused({.pieces = Pieces(Words()), .remove_extra_whitespaces = true},
          "removes spaces");
  refused({.pieces = Pieces(Words()),
           .charsmap = std::string("\4\0\0\0\0\4\0\0x", 9) + '\0'},
          "a table of its own");
  refused({.pieces = PieceField("a\xff", -1, PieceType::kControl)},
          "a piece of the model is no UTF-8");
  EXPECT_THAT(SentencePiecesAsJson(BytePairParts()),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("no SentencePiece model")));
}

// Every text of up to `length` letters a and b.
std::vector<std::string> Texts(size_t length) {
  std::vector<std::string> texts = {""};
  for (size_t i = 0; i < texts.size() && texts[i].size() < length; ++i) {
    texts.push_back(texts[i] + 'a');
    texts.push_back(texts[i] + 'b');
  }
  return texts;
}

// SentencePiece takes the leftmost of two places for one piece; a list of
// merges has an order. What is written must be the same all the same.
TEST(SentencePieceJson, IsTheSameForPiecesThatOverlapThemselves) {
  Random random(20261123);
  const std::vector<std::string> texts = Texts(11);
  for (int round = 0; round < 40; ++round) {
    std::set<std::string> seen = {"a", "b"};
    std::vector<std::string> pieces;
    while (pieces.size() < 9) {
      std::string piece;
      const int64_t size = 2 + static_cast<int64_t>(random.NextDouble() * 5);
      // Of few letters b: pieces of one letter overlap most.
      for (int64_t i = 0; i < size; ++i) {
        piece += random.NextDouble() < 0.25 ? 'b' : 'a';
      }
      if (seen.insert(piece).second) pieces.push_back(piece);
    }
    pieces.insert(pieces.end(), {"\u2581", "a", "b"});
    const BytePairParts parts =
        PartsOf({.pieces = Pieces(pieces), .add_dummy_prefix = false});
    LORY_ASSERT_OK_AND_ASSIGN(const std::string json,
                              SentencePiecesAsJson(parts));
    const BytePairTokenizer read(*ParseTokenizerJson(json));
    const BytePairTokenizer model(parts);
    for (const std::string& text : texts) {
      ASSERT_EQ(read.Encode(text), model.Encode(text)) << text << json;
    }
  }
}

}  // namespace
}  // namespace lory::text
