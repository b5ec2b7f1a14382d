#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/text/byte_pair_tokenizer.h"
#include "common/text/character_map.h"
#include "common/text/sentence_piece_json.h"
#include "common/text/sentence_piece_model.h"
#include "common/text/wire_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/sentence_piece_file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/common/text/token_texts.h"

// Whether texts have the tokens that SentencePiece gives them is asked by
// tests/interop/tokenizers_test.py.
namespace lory::text {
namespace {

using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using ::lory::testing::BytesField;
using ::lory::testing::NumberField;
using ::lory::testing::PieceField;
using ::lory::testing::PieceType;
using ::lory::testing::Varint;
using ModelFile = ::lory::testing::SentencePieceFile;

// A trie of one character, "A", and what it becomes.
std::string CharacterMapOf(const std::string& becomes) {
  std::vector<uint32_t> units(256, 0);
  units[0] = 1u << 10;                        // children are at 1 ^ label
  units[1 ^ 'A'] = 2u << 10 | 1u << 8 | 'A';  // its value is 2 away
  units[1 ^ 'A' ^ 2] = 1u << 31;              // at the begin of the texts
  const uint32_t size = static_cast<uint32_t>(units.size() * sizeof(uint32_t));
  std::string bytes(sizeof(size) + size, '\0');
  std::memcpy(bytes.data(), &size, sizeof(size));
  std::memcpy(bytes.data() + sizeof(size), units.data(), size);
  return bytes + becomes + '\0';
}

BytePairTokenizer Opened(const ModelFile& file) {
  auto parts = ParseSentencePieceModel(file.Bytes());
  EXPECT_OK(parts);
  return BytePairTokenizer(*std::move(parts));
}

TEST(SentencePieceModel, JoinsByScoreAndOfEqualOnesTheLeftmost) {
  const BytePairTokenizer tokenizer = Opened({});
  EXPECT_EQ(tokenizer.vocabulary_size(), 267);
  EXPECT_EQ(tokenizer.end_of_document(), "</s>");
  EXPECT_EQ(tokenizer.end_of_document_id(), 2);
  EXPECT_THAT(TokenTexts(tokenizer, "abc"), ElementsAre(" a", "bc"));
  // "▁a" and "ab" have one score.
  EXPECT_THAT(TokenTexts(tokenizer, "ab"), ElementsAre(" a", "b"));
  EXPECT_THAT(TokenTexts(tokenizer, "\u00e9"),
              ElementsAre(" ", "\xc3", "\xa9"));
}

TEST(SentencePieceModel, UserDefinedPiecesAreFoundAndControlPiecesAreNot) {
  const BytePairTokenizer tokenizer = Opened({});
  EXPECT_THAT(TokenTexts(tokenizer, "b<t>c"),
              ElementsAre(" ", "b", "<t>", "c"));
  for (const int32_t id : tokenizer.Encode("</s><s><unk>")) EXPECT_GT(id, 2);
}

TEST(SentencePieceModel, TheConfigBesideSaysWhatStandsAroundAText) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.At("tokenizer.model");
  folder.Write("tokenizer.model", ModelFile().Bytes());
  LORY_ASSERT_OK_AND_ASSIGN(auto tokenizer, LoadTokenizer(path));
  EXPECT_THAT(EncodeBetweenMarks(*tokenizer, "", "abc"), ElementsAre(265, 263));
  folder.Write("tokenizer_config.json",
               R"({"add_bos_token": true, "bos_token": "<s>"})");
  LORY_ASSERT_OK_AND_ASSIGN(tokenizer, LoadTokenizer(path));
  EXPECT_EQ(tokenizer->begin_of_text(), "<s>");
  EXPECT_THAT(EncodeBetweenMarks(*tokenizer, "", "abc"),
              ElementsAre(1, 265, 263));
  folder.Write("tokenizer_config.json",
               R"({"add_bos_token": true, "bos_token": "<t>"})");
  EXPECT_THAT(LoadTokenizer(path),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("tokenizer_config.json: add_bos_token asks")));
  // A tokenizer.json has its own word.
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string json,
      SentencePiecesAsJson(*ParseSentencePieceModel(
          ModelFile{.pieces = PieceField("a", -1, PieceType::kNormal)}
              .Bytes())));
  LORY_ASSERT_OK_AND_ASSIGN(tokenizer,
                            LoadTokenizer(folder.Write("t.json", json)));
  EXPECT_THAT(tokenizer->marks().before, ElementsAre());
}

TEST(SentencePieceModel, TextsBeginWithoutTheDummyPrefix) {
  const BytePairTokenizer tokenizer = Opened({});
  for (const std::string text : {"ab", " ab", "  ", "", "x\u00e9\n<t>"}) {
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text)), text);
  }
  // As SentencePiece has it, which knows texts only.
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode("a\xff\xc3")), "a\uFFFD\uFFFD");
  ModelFile without;
  without.add_dummy_prefix = false;
  EXPECT_THAT(TokenTexts(Opened(without), "abc"), ElementsAre("a", "bc"));
}

TEST(SentencePieceModel, NormalizesAsTheFileSays) {
  ModelFile file;
  file.charsmap = CharacterMapOf("b c");
  EXPECT_THAT(TokenTexts(Opened(file), "xA"),
              ElementsAre(" ", "x", "b", " ", "c"));
  file.remove_extra_whitespaces = true;
  EXPECT_THAT(TokenTexts(Opened(file), "  c   c  "),
              ElementsAre(" ", "c", " ", "c"));
  EXPECT_THAT(TokenTexts(Opened(file), "   "), ElementsAre());
}

TEST(SentencePieceModel, NamesWhatIsNotSupported) {
  const auto expect_refused = [](const ModelFile& file,
                                 const std::string& why) {
    EXPECT_THAT(ParseSentencePieceModel(file.Bytes()),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  expect_refused({.model_type = 1}, "of type unigram; only bpe");
  expect_refused({.byte_fallback = false}, "without byte_fallback");
  expect_refused({.pieces = PieceField("ab", 0, PieceType::kNormal)},
                 "'ab' has a character that is no piece");
  expect_refused({.pieces = PieceField("a", 0, PieceType::kUnused)},
                 "piece 259 ('a') of type 5");
  expect_refused({.pieces = PieceField("", 0, PieceType::kNormal)},
                 "piece 259 is empty");
  expect_refused({.pieces = PieceField("<s>", 0, PieceType::kNormal)},
                 "there twice");
  expect_refused({.charsmap = "x"}, "precompiled_charsmap is damaged");
  expect_refused({.more = BytesField(2, NumberField(24, 1))},
                 "treat_whitespace_as_suffix");
  expect_refused({.more = BytesField(3, NumberField(5, 0))},
                 "escape_whitespaces");
  expect_refused({.more = BytesField(5, BytesField(2, "x"))}, "a denormalizer");
  EXPECT_THAT(ParseSentencePieceModel("PNG and so on"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("neither JSON nor a SentencePiece model")));
}

TEST(SentencePieceModel, IsKnownByItsContent) {
  testing::TemporaryFolder folder;
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto tokenizer,
      LoadTokenizer(folder.Write("any.name", ModelFile().Bytes())));
  EXPECT_EQ(tokenizer->vocabulary_size(), 267);
}

TEST(SentencePieceModelMutations, AreReadOrRefused) {
  ModelFile file;
  file.charsmap = CharacterMapOf("b c");
  const std::string good = file.Bytes();
  std::string text = "abc A<t> \xff\n";
  for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
  testing::Mutations mutations(20261124);
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    auto parts = ParseSentencePieceModel(mutations.Of(good));
    refused += !parts.ok();
    if (!parts.ok()) continue;
    const BytePairTokenizer tokenizer(*std::move(parts));
    for (const int32_t id : tokenizer.Encode(text)) {
      EXPECT_LT(id, tokenizer.vocabulary_size());
      EXPECT_NE(id, tokenizer.end_of_document_id());
    }
  }
  EXPECT_GT(refused, 400);
  EXPECT_LT(refused, 3900);
}

TEST(WireReader, ReadsEveryKindOfFieldAndEndsWhereItIsDamaged) {
  const std::string message = NumberField(1, 300) + BytesField(20, "text") +
                              Varint(3 << 3 | 1) + "12345678";
  WireReader reader(message);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.field(), 1);
  EXPECT_EQ(reader.number(), 300u);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.field(), 20);
  EXPECT_EQ(reader.bytes(), "text");
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.number(), 0x3837363534333231u);
  EXPECT_FALSE(reader.Next());
  EXPECT_OK(reader.status());
  for (size_t size = 1; size < message.size(); ++size) {
    WireReader cut(absl::string_view(message).substr(0, size));
    while (cut.Next()) {
    }
    EXPECT_EQ(cut.status().ok(), size == 3 || size == 10) << size;
  }
}

}  // namespace
}  // namespace lory::text
