#include "tools/corpus/encoder/word_piece.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::corpus {
namespace {

using ::lory::testing::Mutations;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::HasSubstr;

const std::vector<std::string> kWords = {
    "[PAD]",  "[UNK]", "[CLS]",  "[SEP]",  "[MASK]",   "un", "##aff", "##able",
    "##ab",   "cafe",  "the",    "cat",    "##s",      ",",  "!",     "\u4f60",
    "\u597d", "i",     "\u0131", "\u03bf", "##\u03c3", "a",  "b",     "c",
    "d",      "##b",   "$",      "fi",     "\ufb01"};

nlohmann::json TokenizerJson() {
  nlohmann::json root = {
      {"normalizer",
       {{"type", "BertNormalizer"},
        {"clean_text", true},
        {"handle_chinese_chars", true},
        {"strip_accents", nullptr},
        {"lowercase", true}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"model", {{"type", "WordPiece"}, {"unk_token", "[UNK]"}}}};
  for (size_t i = 0; i < kWords.size(); ++i) {
    root["model"]["vocab"][kWords[i]] = i;
  }
  for (int i = 0; i < 5; ++i) {
    root["added_tokens"].push_back({{"id", i},
                                    {"content", kWords[i]},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  }
  return root;
}

struct WordPieceTest : ::testing::Test {
  WordPiece Load() {
    auto words = WordPiece::Load(folder.path());
    EXPECT_OK(words);
    return *std::move(words);
  }
  WordPiece LoadList(const std::string& settings = "{}") {
    folder.Write("vocab.txt", absl::StrJoin(kWords, "\n") + "\n");
    folder.Write("tokenizer_config.json", settings);
    return Load();
  }
  static std::string Tokens(const WordPiece& words, absl::string_view text,
                            size_t limit = 1000) {
    std::vector<std::string> tokens;
    for (const int32_t id : words.Encode(text, limit)) {
      tokens.push_back(kWords[id]);
    }
    return absl::StrJoin(tokens, " ");
  }
  void ExpectError(const nlohmann::json& root, const std::string& what) {
    folder.Write("tokenizer.json", root.dump());
    EXPECT_THAT(WordPiece::Load(folder.path()),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("tokenizer.json: " + what)));
  }

  TemporaryFolder folder;
};

// What tokenizers 0.23.3 gives for the same words.
TEST_F(WordPieceTest, TokensAreThoseOfTheReference) {
  const std::pair<std::string, std::string> cases[] = {
      {"unaffable", "un ##aff ##able"},
      {"UNAFFABLE cats", "un ##aff ##able cat ##s"},
      {"unaffablez", "[UNK]"},
      {"caf\u00e9 CAF\u00c9 cafe\u0301", "cafe cafe cafe"},
      {"the,cat!", "the , cat !"},
      {"\u4f60\u597d\u5417", "\u4f60 \u597d [UNK]"},
      {"ca\u200bt ca\u0001t ca\ufffdt", "cat cat cat"},
      {std::string("ca\0t", 4), "cat"},
      {"the\u0085cat\u00a0the\u2003cat", "[UNK] the cat"},
      {"\u0130 I \u0131", "i i \u0131"},
      {"\u039f\u03a3", "\u03bf ##\u03c3"},
      {"a[SEP]b [sep] [MASK]c", "a [SEP] b [UNK] [UNK] [UNK] [MASK] c"},
      {"", ""},
      {" \t ", ""},
      {"$a$", "$ a $"},
      {"\ufb01 fi", "\ufb01 fi"},
      {"a\tb\nc\rd", "a b c d"},
      {"[SEP", "[UNK] [UNK]"},
      {"a\u0378b", "[UNK]"}};
  folder.Write("tokenizer.json", TokenizerJson().dump());
  const WordPiece words = Load();
  const WordPiece list = [&] {
    EXPECT_OK(io::LocalStorage().Remove(folder.At("tokenizer.json")));
    return LoadList();
  }();
  for (const auto& [text, tokens] : cases) {
    EXPECT_EQ(Tokens(words, text), tokens) << text;
    EXPECT_EQ(Tokens(list, text), tokens) << text;
  }
}

TEST_F(WordPieceTest, AWordOfMoreThanAHundredCharactersIsUnknown) {
  const WordPiece words = LoadList();
  EXPECT_EQ(words.Encode("a" + std::string(99, 'b'), 1000).size(), 100u);
  EXPECT_EQ(Tokens(words, "a" + std::string(100, 'b')), "[UNK]");
}

TEST_F(WordPieceTest, SettingsSayHowTextIsCleaned) {
  EXPECT_EQ(
      Tokens(LoadList(R"({"do_lower_case": false})"), "Caf\u00e9 cafe the CAT"),
      "[UNK] cafe the [UNK]");
  EXPECT_EQ(Tokens(LoadList(R"({"do_lower_case": false,
                                "strip_accents": true})"),
                   "caf\u00e9"),
            "cafe");
  EXPECT_EQ(Tokens(LoadList(R"({"strip_accents": false})"), "Caf\u00e9 \u0130"),
            "[UNK] [UNK]");
  EXPECT_EQ(Tokens(LoadList(R"({"tokenize_chinese_chars": false})"),
                   "\u4f60\u597d \u4f60"),
            "[UNK] \u4f60");
  nlohmann::json root = TokenizerJson();
  root["normalizer"]["clean_text"] = false;
  folder.Write("tokenizer.json", root.dump());
  folder.Write("tokenizer_config.json", "{}");
  EXPECT_EQ(Tokens(Load(), std::string("the\0cat a\x0b"
                                       "b",
                                       11)),
            "[UNK] a b");
}

TEST_F(WordPieceTest, FilesThatCleanInTwoWaysAreRefusedByName) {
  nlohmann::json root = TokenizerJson();
  const auto expect = [&](const std::string& settings,
                          const std::string& error) {
    folder.Write("tokenizer.json", root.dump());
    folder.Write("tokenizer_config.json", settings);
    const auto words = WordPiece::Load(folder.path());
    if (error.empty()) {
      EXPECT_OK(words);
      return;
    }
    EXPECT_THAT(words, StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("tokenizer_config.json: " + error)));
  };
  expect("{}", "");
  expect(R"({"do_lower_case": true, "strip_accents": null,
             "tokenize_chinese_chars": true})",
         "");
  expect(R"({"do_lower_case": false})",
         "do_lower_case means false, but normalizer.lowercase of "
         "tokenizer.json true: make");
  expect(R"({"strip_accents": false})", "strip_accents means false");
  expect(R"({"tokenize_chinese_chars": false})",
         "tokenize_chinese_chars means false, but "
         "normalizer.handle_chinese_chars");
  expect(R"({"do_lower_case": 7})", "do_lower_case, tokenize_chinese_chars");
  // What it does not say is as usual, and not as tokenizer.json says.
  root["normalizer"]["lowercase"] = false;
  expect("{}", "do_lower_case means true");
  expect(R"({"do_lower_case": false})", "");
  expect(R"({"tokenizer_class": "PreTrainedTokenizerFast"})", "");
}

TEST_F(WordPieceTest, StopsWhereEnoughIsKnown) {
  const WordPiece words = LoadList();
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "the cats [SEP] ";
  for (const size_t limit : {0u, 1u, 2u, 3u, 4u, 5u, 400u}) {
    const auto some = words.Encode(text, limit);
    const auto all = words.Encode(text, 100'000);
    EXPECT_EQ(all.size(), 4000u);
    ASSERT_GE(some.size(), limit);
    EXPECT_LE(some.size(), limit + 1);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin()));
  }
}

TEST_F(WordPieceTest, StopsInLongTextsWithoutSpaces) {
  const WordPiece words = LoadList();
  const std::pair<std::string, std::string> cases[] = {
      {"\u4f60\u597d", "\u4f60 \u597d"},
      {"\u4f60\u0301\u597d\u0323\u0307", "\u4f60 \u597d"},
      {"cats\u3000", "cat ##s"},
      {"the\u2003\u2003", "the"},
      {"unaffable,a$", "un ##aff ##able , a $"},
      {",\u0301\u0327cafe\u0301", ", cafe"},
      {"cats!\xff\xe4\xbd", "cat ##s !"}};
  for (const auto& [unit, tokens] : cases) {
    constexpr int kUnits = 5'000;
    std::string text, expected;
    for (int i = 0; i < kUnits; ++i) {
      text += unit;
      absl::StrAppend(&expected, i == 0 ? "" : " ", tokens);
    }
    const auto all = words.Encode(text, 100'000);
    EXPECT_EQ(Tokens(words, text, 100'000), expected) << unit;
    for (const size_t limit : {1u, 510u, 4'500u}) {
      const auto some = words.Encode(text, limit);
      ASSERT_GE(some.size(), limit) << unit;
      EXPECT_LE(some.size(), limit + 2) << unit;
      EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << unit;
    }
  }
}

TEST_F(WordPieceTest, LongTextsAreNotCutInsideAWord) {
  const WordPiece words = LoadList();
  const WordPiece unspaced = LoadList(R"({"tokenize_chinese_chars": false})");
  std::string dropped, ideographs;
  for (int i = 0; i < 10'000; ++i) {
    dropped += "a\u0085";
    ideographs += "\u4f60";
  }
  EXPECT_EQ(Tokens(words, dropped), "[UNK]");
  EXPECT_EQ(Tokens(unspaced, ideographs), "[UNK]");
}

TEST_F(WordPieceTest, LooksAtNoMoreOfATextThanItsTokensTake) {
  const WordPiece words = LoadList();
  constexpr size_t kReadable = 64 << 10;
  constexpr size_t kBytes = 64 << 20;
  // Whoever reads behind the readable part is ended by the system.
  char* const bytes =
      static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(bytes, MAP_FAILED);
  for (size_t i = 0; i < kReadable; ++i) bytes[i] = "cat, "[i % 5];
  ASSERT_EQ(mprotect(bytes + kReadable, kBytes - kReadable, PROT_NONE), 0);
  EXPECT_EQ(words.Encode({bytes, kBytes}, 511).size(), 511u);
  EXPECT_EQ(munmap(bytes, kBytes), 0);
}

TEST_F(WordPieceTest, KeepsNoMoreOfALongWordThanItsVerdictTakes) {
  const WordPiece words = LoadList();
  const std::string text = "cats" + std::string(64 << 20, 'a') + " the";
  const auto peak = [] {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;  // KiB
  };
  // All of it as code points are 256 MiB, and two such are needed; a sanitizer
  // keeps as much of what has been given back. In a process of its own, whose
  // highest use is that of now.
  EXPECT_EXIT(
      {
        const auto before = peak();
        const bool is_right = Tokens(words, text) == "[UNK] the";
        std::exit(is_right && peak() - before < (400 << 10) ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(WordPieceTest, PartsOfALongWordAreOneWord) {
  nlohmann::json root = TokenizerJson();
  root["model"]["max_input_chars_per_word"] = 1000;
  folder.Write("tokenizer.json", root.dump());
  const WordPiece words = Load();
  // What is dropped makes a word of two letters as long as one likes.
  for (const std::string& dropped :
       {std::string("\u0085"), std::string("\u0301"), std::string("\u200b"),
        std::string("\ufffd"), std::string("\x80"), std::string("\xe4\xbd")}) {
    for (size_t bytes = 4'080; bytes < 4'110; ++bytes) {
      std::string text = "a";
      while (text.size() < bytes) text += dropped;
      EXPECT_EQ(Tokens(words, text + "b,c"), "a ##b , c");
      EXPECT_EQ(Tokens(words, text + "\u4f60\u0301[SEP]b"), "a \u4f60 [SEP] b");
    }
  }
}

TEST_F(WordPieceTest, WhatCannotBeDoneIsRefusedByName) {
  nlohmann::json root = TokenizerJson();
  root["model"]["type"] = "BPE";
  ExpectError(root, "model.type is \"BPE\", not WordPiece");
  root = TokenizerJson();
  root["normalizer"] = nullptr;
  ExpectError(root, "normalizer.type is null");
  root = TokenizerJson();
  root["pre_tokenizer"]["type"] = "Whitespace";
  ExpectError(root, "pre_tokenizer.type is \"Whitespace\"");
  root = TokenizerJson();
  root["added_tokens"][4]["lstrip"] = true;
  ExpectError(root, "added_tokens: \"[MASK]\" has lstrip");
  root = TokenizerJson();
  root["model"]["vocab"].erase("[CLS]");
  ExpectError(root, "no [CLS] among its words");
  root = TokenizerJson();
  root["model"]["vocab"]["cat"] = -1;
  ExpectError(root, "model.vocab: the id of 'cat'");
  root = TokenizerJson();
  root["model"]["max_input_chars_per_word"] = 1001;
  ExpectError(root, "model.max_input_chars_per_word is 1001, above 1000");
  ExpectError(nlohmann::json::array(), "no JSON object");
}

TEST_F(WordPieceTest, WordListsThatAreWrongAreRefusedByLine) {
  EXPECT_THAT(WordPiece::Load(folder.path()),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("neither tokenizer.json nor vocab.txt")));
  folder.Write("vocab.txt", "[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\na\r\n");
  EXPECT_THAT(WordPiece::Load(folder.path()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("vocab.txt:5: 'a' stands twice")));
  folder.Write("vocab.txt", "[UNK]\n[CLS]\n");
  EXPECT_THAT(WordPiece::Load(folder.path()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("vocab.txt: no [SEP] among its words")));
  folder.Write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
  folder.Write("tokenizer_config.json", R"({"do_lower_case": "yes"})");
  EXPECT_THAT(WordPiece::Load(folder.path()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("tokenizer_config.json: do_lower_case")));
}

TEST_F(WordPieceTest, DamagedFilesAreReadOrRefused) {
  Mutations mutations(5);
  const std::string good = TokenizerJson().dump();
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    folder.Write("tokenizer.json", mutations.Of(good));
    const auto words = WordPiece::Load(folder.path());
    refused += words.ok() ? 0 : 1;
    if (!words.ok()) continue;
    for (const int32_t id :
         words->Encode("the caf\u00e9, [SEP] unaffable", 100)) {
      EXPECT_GE(id, 0);
      EXPECT_LE(id, words->HighestId());
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 1950);
  folder.Write("tokenizer.json",
               std::string(100'000, '[') + std::string(100'000, ']'));
  EXPECT_FALSE(WordPiece::Load(folder.path()).ok());
}

}  // namespace
}  // namespace lory::corpus
