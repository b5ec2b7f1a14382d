#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/text/byte_pair_tokenizer.h"
#include "common/text/character_map.h"
#include "common/text/sentence_piece_model.h"
#include "common/text/wire_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

// Whether texts have the tokens that SentencePiece gives them is asked by
// tests/interop/tokenizers_test.py.
namespace lory::text {
namespace {

using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

enum PieceType {
  kNormal = 1,
  kUnknown,
  kControl,
  kUserDefined,
  kUnused,
  kByte
};

std::string Varint(uint64_t number) {
  std::string bytes;
  for (; number >= 0x80; number >>= 7) {
    bytes += static_cast<char>(number | 0x80);
  }
  return bytes + static_cast<char>(number);
}

std::string NumberField(int field, uint64_t number) {
  return Varint(static_cast<uint64_t>(field) << 3) + Varint(number);
}

std::string BytesField(int field, const std::string& bytes) {
  return Varint(static_cast<uint64_t>(field) << 3 | 2) + Varint(bytes.size()) +
         bytes;
}

std::string PieceField(const std::string& text, float score, PieceType type) {
  char image[sizeof(score)];
  std::memcpy(image, &score, sizeof(score));
  return BytesField(1, BytesField(1, text) + Varint(2 << 3 | 5) +
                           std::string(image, sizeof(image)) +
                           NumberField(3, type));
}

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

struct ModelFile {
  // <unk> <s> </s>, the bytes, then these from 259 on.
  std::string pieces =
      PieceField("\u2581", -1, kNormal) + PieceField("a", -2, kNormal) +
      PieceField("b", -3, kNormal) + PieceField("c", -4, kNormal) +
      PieceField("bc", -5, kNormal) + PieceField("ab", -6, kNormal) +
      PieceField("\u2581a", -6, kNormal) + PieceField("<t>", 0, kUserDefined);
  int model_type = 2;
  bool byte_fallback = true;
  bool remove_extra_whitespaces = false;
  bool add_dummy_prefix = true;
  std::string charsmap;
  std::string more;

  std::string Bytes() const {
    std::string bytes = PieceField("<unk>", 0, kUnknown) +
                        PieceField("<s>", 0, kControl) +
                        PieceField("</s>", 0, kControl);
    for (int byte = 0; byte < 256; ++byte) {
      bytes += PieceField(ByteTokenName(static_cast<uint8_t>(byte)), 0, kByte);
    }
    return bytes + pieces +
           BytesField(
               2, NumberField(3, model_type) + NumberField(35, byte_fallback)) +
           BytesField(3, BytesField(2, charsmap) +
                             NumberField(3, add_dummy_prefix) +
                             NumberField(4, remove_extra_whitespaces)) +
           more;
  }
};

BytePairTokenizer Opened(const ModelFile& file) {
  auto parts = ParseSentencePieceModel(file.Bytes());
  EXPECT_OK(parts);
  return BytePairTokenizer(*std::move(parts));
}

std::vector<std::string> TokenTexts(const Tokenizer& tokenizer,
                                    absl::string_view text) {
  std::vector<std::string> texts;
  for (const int32_t id : tokenizer.Encode(text)) {
    texts.push_back(tokenizer.TokenText(id));
  }
  return texts;
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
  expect_refused({.pieces = PieceField("ab", 0, kNormal)},
                 "'ab' has a character that is no piece");
  expect_refused({.pieces = PieceField("a", 0, kUnused)},
                 "piece 259 ('a') of type 5");
  expect_refused({.pieces = PieceField("", 0, kNormal)}, "piece 259 is empty");
  expect_refused({.pieces = PieceField("<s>", 0, kNormal)}, "there twice");
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
