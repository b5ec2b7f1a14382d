#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/text/byte_characters.h"
#include "common/text/byte_pair_tokenizer.h"
#include "common/text/text_marks.h"
#include "common/text/tokenizer_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/common/text/token_texts.h"

// Layouts of tokenizer.json that well-known models have. Whether they are read
// as their own library does is asked by tests/interop/tokenizers_test.py.
namespace lory::text {
namespace {

using ::lory::testing::StatusIs;
using ::nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kMark[] = "\u2581";

void AddToken(json& file, const std::string& text) {
  json& vocabulary = file["model"]["vocab"];
  const size_t id = vocabulary.size();
  vocabulary.emplace(text, id);
}

void AddMerge(json& file, const std::string& left, const std::string& right) {
  if (!file["model"]["vocab"].contains(left + right)) {
    AddToken(file, left + right);
  }
  file["model"]["merges"].push_back({left, right});
}

void AddSpecial(json& file, const std::string& text, int id,
                bool special = true) {
  file["added_tokens"].push_back({{"id", id},
                                  {"content", text},
                                  {"special", special},
                                  {"single_word", false},
                                  {"lstrip", false},
                                  {"rstrip", false},
                                  {"normalized", false}});
}

// What puts `before` before a text, by their names and ids.
json Template(const std::vector<std::pair<std::string, int>>& before) {
  json processor = {{"type", "TemplateProcessing"},
                    {"single", json::array()},
                    {"special_tokens", json::object()}};
  for (const auto& [name, id] : before) {
    processor["single"].push_back(
        {{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
    processor["special_tokens"][name] = {
        {"id", name}, {"ids", {id}}, {"tokens", {name}}};
  }
  processor["single"].push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  return processor;
}

// <unk> <s> </s>, the bytes, "▁" (259), then letters and their merges.
json Llama() {
  json file = {
      {"added_tokens", json::array()},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", kMark}},
          {{"type", "Replace"},
           {"pattern", {{"String", " "}}},
           {"content", kMark}}}}}},
      {"pre_tokenizer", nullptr},
      {"post_processor", Template({{"<s>", 1}})},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         {{{"type", "Replace"},
           {"pattern", {{"String", kMark}}},
           {"content", " "}},
          {{"type", "ByteFallback"}},
          {{"type", "Fuse"}},
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
      {"model",
       {{"type", "BPE"},
        {"byte_fallback", true},
        {"fuse_unk", true},
        {"unk_token", "<unk>"},
        {"vocab", json::object()},
        {"merges", json::array()}}}};
  for (const char* special : {"<unk>", "<s>", "</s>"}) {
    AddSpecial(file, special, static_cast<int>(file["added_tokens"].size()));
    AddToken(file, special);
  }
  for (int byte = 0; byte < 256; ++byte) {
    AddToken(file, ByteTokenName(static_cast<uint8_t>(byte)));
  }
  for (const char* letter : {kMark, "a", "b", "c", "s", "<", "/", ">"}) {
    AddToken(file, letter);
  }
  AddMerge(file, "a", "b");
  AddMerge(file, kMark, "ab");
  AddMerge(file, kMark, kMark);
  return file;
}

// <|end_of_text|> (256) behind the bytes, then merges.
json Llama3() {
  json file = {
      {"added_tokens", json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"},
           {"pattern",
            {{"Regex", R"(\p{N}{1,3}| ?\p{L}+|\s+|[^\s\p{L}\p{N}]+)"}}},
           {"behavior", "Isolated"},
           {"invert", false}},
          {{"type", "ByteLevel"},
           {"add_prefix_space", false},
           {"use_regex", false}}}}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"},
        {"ignore_merges", true},
        {"vocab", json::object()},
        {"merges", json::array()}}}};
  for (int byte = 0; byte < 256; ++byte) {
    AddToken(file, ToByteCharacters(std::string(1, static_cast<char>(byte))));
  }
  AddSpecial(file, "<|end_of_text|>", 256);
  AddToken(file, "<|end_of_text|>");
  AddMerge(file, "a", "b");
  AddToken(file, "abc");  // 258, which no merge makes
  return file;
}

BytePairTokenizer Read(const json& file) {
  auto parts = ParseTokenizerJson(file.dump());
  EXPECT_OK(parts);
  return BytePairTokenizer(*std::move(parts));
}

TEST(LlamaTokenizer, JoinsCharactersAndFallsBackToBytes) {
  const BytePairTokenizer tokenizer = Read(Llama());
  EXPECT_EQ(tokenizer.vocabulary_size(), 270);
  EXPECT_EQ(tokenizer.end_of_document(), "</s>");
  EXPECT_EQ(tokenizer.end_of_document_id(), 2);
  EXPECT_THAT(TokenTexts(tokenizer, "ab cab"),
              ElementsAre(" ab", " ", "c", "ab"));
  EXPECT_THAT(tokenizer.Encode("\u00e9\n"),
              ElementsAre(259, 3 + 0xc3, 3 + 0xa9, 3 + '\n'));
  EXPECT_THAT(TokenTexts(tokenizer, "  a"), ElementsAre("  ", " ", "a"));
}

TEST(LlamaTokenizer, TextsBeginWithoutTheSpaceThatEncodingPutThere) {
  const BytePairTokenizer tokenizer = Read(Llama());
  for (const std::string text :
       {"ab", " ab", "  ", "", "a\xff\xc3 b", "\u00e9 \U0001F600\n", "x</s>"}) {
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text)), text);
  }
  EXPECT_EQ(tokenizer.TokenText(tokenizer.Encode("ab")[0]), " ab");
  EXPECT_EQ(tokenizer.TokenText(1), "");
  EXPECT_EQ(tokenizer.TokenText(-1), "");
}

TEST(LlamaTokenizer, TextCannotForgeTheEndOfADocument) {
  const BytePairTokenizer tokenizer = Read(Llama());
  EXPECT_THAT(TokenTexts(tokenizer, "</s>"),
              ElementsAre(" ", "<", "/", "s", ">"));
  // A vocabulary in which text becomes it is none that can be used.
  json file = Llama();
  for (const auto& [left, right] :
       {std::pair("<", "/"), {"</", "s"}, {"</s", ">"}}) {
    AddMerge(file, left, right);
  }
  EXPECT_THAT(ParseTokenizerJson(file.dump()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'</s>' with the id 2 is no token of its")));
}

TEST(LlamaTokenizer, WordsMayBeCutAtSpacesOnlyIfNoTokenGoesOverThem) {
  json file = Llama();
  AddMerge(file, "c", kMark);
  AddMerge(file, absl::StrCat("c", kMark), kMark);
  const BytePairTokenizer tokenizer = Read(file);
  EXPECT_THAT(TokenTexts(tokenizer, "c b"), ElementsAre(" ", "c ", "b"));
  EXPECT_THAT(TokenTexts(tokenizer, "ab ab"), ElementsAre(" ab", " ab"));
}

TEST(LlamaTokenizer, NamesWhatItLacks) {
  json file = Llama();
  file["model"]["byte_fallback"] = false;
  EXPECT_THAT(ParseTokenizerJson(file.dump()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("it would lose text")));
  file = Llama();
  file["model"]["vocab"].erase("<0x0A>");
  EXPECT_THAT(ParseTokenizerJson(file.dump()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no token for byte 10 ('<0x0A>')")));
  file = Llama();
  file["decoder"]["decoders"][3]["start"] = 2;
  EXPECT_THAT(ParseTokenizerJson(file.dump()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("the decoder Strip")));
}

TEST(Llama3Tokenizer, AWordThatIsATokenIsThatOne) {
  json file = Llama3();
  EXPECT_THAT(TokenTexts(Read(file), "abc abc"),
              ElementsAre("abc", " ", "ab", "c"));
  file["model"]["ignore_merges"] = false;
  EXPECT_THAT(TokenTexts(Read(file), "abc"), ElementsAre("ab", "c"));
}

TEST(Llama3Tokenizer, OnlyAddedTokensThatAreNotSpecialAreFoundInText) {
  json file = Llama3();
  AddSpecial(file, "<b>", 300, /*special=*/false);
  AddSpecial(file, "<b><b>", 301, /*special=*/false);
  AddSpecial(file, "<b>!", 302);
  const BytePairTokenizer tokenizer = Read(file);
  EXPECT_EQ(tokenizer.vocabulary_size(), 303);
  EXPECT_THAT(TokenTexts(tokenizer, "ab<b><b><b>c"),
              ElementsAre("ab", "<b><b>", "<b>", "c"));
  EXPECT_THAT(TokenTexts(tokenizer, "<b>!"), ElementsAre("<", "b", ">", "!"));
  file["added_tokens"][1]["lstrip"] = true;
  EXPECT_THAT(ParseTokenizerJson(file.dump()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("lstrip of the added token '<b>'")));
}

TEST(TokenizerJson, StepsThatAreNoneAreNamedWithTheirField) {
  for (const char* field : {"normalizer", "pre_tokenizer", "decoder"}) {
    for (const json& step : {json::array({{{"type", "NFC"}}}), json("x"),
                             json({{"kind", "NFC"}})}) {
      json file = Llama3();
      file[field] = step;
      EXPECT_THAT(ParseTokenizerJson(file.dump()),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           HasSubstr(absl::StrCat("not supported: ", field,
                                                  ", in which a step is ",
                                                  step.dump()))));
    }
  }
}

TEST(TokenizerJson, SaysHowOftenItsExpressionsGaveUp) {
  json file = Llama3();
  file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(?:a|aa)+b";
  const BytePairTokenizer tokenizer = Read(file);
  tokenizer.Encode("aab aab");
  EXPECT_EQ(tokenizer.given_up(), 0);
  // Without any b it would see at once that there is no match.
  const std::string text = std::string(40, 'a') + "cb";
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text)), text);
  EXPECT_EQ(tokenizer.given_up(), 1);
  file["normalizer"] = {{"type", "Replace"},
                        {"pattern", {{"Regex", "(?:a|aa)+b"}}},
                        {"content", "x"}};
  const BytePairTokenizer replacing = Read(file);
  replacing.Encode(text);
  EXPECT_EQ(replacing.given_up(), 2);
}

TEST(TokenizerJson, NoIdIsThatOfTwoTokens) {
  // The text <b> would become the end of a document.
  json twice = Llama3();
  AddSpecial(twice, "<b>", 256, /*special=*/false);
  // Or a word of another text.
  json taken = Llama3();
  AddSpecial(taken, "<b>", 257, /*special=*/false);
  for (const json& file : {twice, taken}) {
    EXPECT_THAT(ParseTokenizerJson(file.dump()),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("is no token of its own")));
  }
  json same = Llama3();
  AddSpecial(same, "ab", 257, /*special=*/false);
  EXPECT_THAT(Read(same).Encode("ab"), ElementsAre(257));
}

TEST(TokenizerJson, TheFirstOfTheKnownNamesEndsDocuments) {
  json file = Llama3();
  AddSpecial(file, "<eos>", 300);
  EXPECT_EQ(Read(file).end_of_document(), "<|end_of_text|>");
  AddSpecial(file, "</s>", 301);
  EXPECT_EQ(Read(file).end_of_document(), "</s>");
  EXPECT_EQ(Read(file).end_of_document_id(), 301);
}

TEST(TokenizerJson, AnIdBetweenOthersMayBeNoToken) {
  json file = Llama3();
  AddSpecial(file, "<|far|>", 300);
  const BytePairTokenizer tokenizer = Read(file);
  for (const int32_t id : {0, 255, 256, 258, 300}) {
    EXPECT_TRUE(tokenizer.HasToken(id)) << id;
  }
  for (const int32_t id : {-1, 259, 299, 301}) {
    EXPECT_FALSE(tokenizer.HasToken(id)) << id;
    EXPECT_EQ(tokenizer.Decode({id, 0}), tokenizer.Decode({0}));
  }
}

TEST(TextMarks, AreWhatThePostProcessorPutsAroundAText) {
  const BytePairTokenizer llama = Read(Llama());
  EXPECT_THAT(llama.marks().before, ElementsAre(1));
  EXPECT_THAT(llama.marks().after, ElementsAre());
  EXPECT_EQ(llama.begin_of_text(), "<s>");
  EXPECT_THAT(EncodeBetweenMarks(llama, "", "ab"), ElementsAre(1, 268));
  EXPECT_THAT(EncodeBetweenMarks(llama, "", ""), ElementsAre(1));
  EXPECT_EQ(llama.Decode({1, 268}), "ab");
  EXPECT_THAT(llama.Encode("ab"), ElementsAre(268));  // a document

  json file = Llama3();
  EXPECT_THAT(EncodeBetweenMarks(Read(file), "", "ab"), ElementsAre(257));
  AddSpecial(file, "<begin>", 300);
  AddSpecial(file, "<sep>", 301);
  file["post_processor"] = {
      {"type", "Sequence"},
      {"processors", {{{"type", "ByteLevel"}}, Template({{"<begin>", 300}})}}};
  EXPECT_THAT(EncodeBetweenMarks(Read(file), "", "ab"), ElementsAre(300, 257));
  file["post_processor"] = {{"type", "RobertaProcessing"},
                            {"cls", {"<begin>", 300}},
                            {"sep", {"<sep>", 301}}};
  EXPECT_THAT(EncodeBetweenMarks(Read(file), "", "ab"),
              ElementsAre(300, 257, 301));
}

TEST(TextMarks, OfAWrongPostProcessorAreNamed) {
  const auto refusal = [](const json& processor) {
    json file = Llama();
    file["post_processor"] = processor;
    return ParseTokenizerJson(file.dump()).status();
  };
  json twice = Template({});
  twice["single"].push_back(twice["single"][0]);
  json other = Template({});
  other["single"][0]["Sequence"]["id"] = "B";
  for (const auto& [processor, what] :
       {std::pair(Template({{"<x>", 4000}}), "token 4000 is not in the vocab"),
        {twice, "single has the text 2 times"},
        {other, "single has a piece that is neither"},
        {json{{"type", "TemplateProcessing"}}, "single is no array"},
        {json{{"type", "BertProcessing"}, {"cls", 1}}, "cls is no pair"},
        {json{{"type", "Other"}}, "not supported: the post_processor Other"}}) {
    EXPECT_THAT(refusal(processor),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)));
  }
}

TEST(TextMarks, AreThoseThatAConfigAsksFor) {
  const auto with = [](const std::string& config) {
    auto parts = ParseTokenizerJson(Llama().dump());
    EXPECT_OK(parts);
    EXPECT_OK(ApplyTokenizerConfig(config, &*parts));
    const TextMarks marks = BytePairTokenizer(*std::move(parts)).marks();
    return std::pair(marks.before, marks.after);
  };
  using Ids = std::vector<int32_t>;
  EXPECT_EQ(with(R"({"bos_token": "<s>"})"), std::pair(Ids{}, Ids{}));
  EXPECT_EQ(with(R"({"add_bos_token": false})"), std::pair(Ids{}, Ids{}));
  EXPECT_EQ(with(R"({"add_bos_token": true, "bos_token": {"content": "<s>"},
                     "add_eos_token": true, "eos_token": "</s>"})"),
            std::pair(Ids{1}, Ids{2}));
  EXPECT_EQ(with(R"({"add_bos_token": true, "bos_token": null})"),
            std::pair(Ids{}, Ids{}));
  // LlamaTokenizer's own, and a limit as transformers writes "none".
  EXPECT_EQ(with(R"({"add_bos_token": true, "add_eos_token": true,
                     "model_max_length": 1000000000000000019884624838656})"),
            std::pair(Ids{1}, Ids{2}));
  auto parts = ParseTokenizerJson(Llama().dump());
  ASSERT_OK(parts);
  EXPECT_THAT(
      ApplyTokenizerConfig(R"({"add_bos_token": true, "bos_token": "<x>"})",
                           &*parts),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("the bos_token '<x>', which is no special token")));
  EXPECT_THAT(ApplyTokenizerConfig("[1]", &*parts),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("is not a JSON object")));
}

TEST(ForeignTokenizerMutations, AreReadOrRefused) {
  std::string text = "ab cab  c\xff\n";
  for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
  testing::Mutations mutations(20261123);
  for (const std::string& good : {Llama().dump(), Llama3().dump()}) {
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {
      auto parts = ParseTokenizerJson(mutations.Of(good));
      refused += !parts.ok();
      if (!parts.ok()) continue;
      const BytePairTokenizer tokenizer(*std::move(parts));
      for (const int32_t id : tokenizer.Encode(text)) {
        EXPECT_LT(id, tokenizer.vocabulary_size());
        EXPECT_NE(id, tokenizer.end_of_document_id());
      }
    }
    EXPECT_GT(refused, 200);
    EXPECT_LT(refused, 1990);
  }
}

}  // namespace
}  // namespace lory::text
