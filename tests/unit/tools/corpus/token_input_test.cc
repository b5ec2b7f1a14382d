#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/corpus/made_up_dataset.h"
#include "tests/unit/tools/corpus/token_samples.h"
#include "tools/corpus/build.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/ingest.h"
#include "tools/corpus/input_files.h"
#include "tools/corpus/token_store.h"
#include "tools/corpus/tokenizer_stage.h"
#include "tools/corpus/verify.h"

namespace lory::corpus {
namespace {

using ::lory::testing::CapturedProgress;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

const auto kInvalidInput = absl::StatusCode::kInvalidArgument;

// A corpus of text, its dataset, and its tokenizer, once for all tests.
struct Topics {
  Topics() : spec(TopicSpec(folder)) {
    EXPECT_OK(BuildDataset(spec, {}, captured.progress()));
    tokenizer_path = spec.output + "/tokenizer.json";
    tokenizer = *LoadForCorpus(tokenizer_path);
    for (absl::string_view line : absl::StrSplit(TopicLines(), '\n')) {
      if (!line.empty()) texts.push_back(nlohmann::json::parse(line)["text"]);
    }
  }

  TemporaryFolder folder;
  CapturedProgress captured;
  CorpusSpec spec;
  std::string tokenizer_path;
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::vector<std::string> texts;
};

const Topics& TheTopics() {
  static const Topics& topics = *new Topics;
  return topics;
}

struct TokenInputTest : ::testing::Test {
  std::vector<int32_t> Encode(const std::string& text) {
    return topics.tokenizer->Encode(text);
  }
  int32_t EndMark() { return topics.tokenizer->end_of_document_id(); }
  // As Megatron's own preparation appends it.
  std::vector<std::vector<int32_t>> Encoded() {
    std::vector<std::vector<int32_t>> documents;
    for (const std::string& text : topics.texts) {
      documents.push_back(Encode(text));
      documents.back().push_back(EndMark());
    }
    return documents;
  }
  // Of a tokenizer that learned the same pieces in another order.
  std::vector<std::vector<int32_t>> OfAnother() {
    auto documents = Encoded();
    const auto pieces =
        static_cast<int32_t>(topics.tokenizer->vocabulary_size() - 257);
    for (auto& tokens : documents) {
      for (int32_t& token : tokens) {
        if (token > 256) token = 257 + (token - 257 + 11) % pieces;
      }
    }
    return documents;
  }
  absl::StatusOr<StageResult> Take(const CorpusInput& input,
                                   int64_t max_errors = 0) {
    return Ingest({input}, max_errors, folder.At("out"), captured.progress(),
                  topics.tokenizer.get());
  }
  CorpusInput Megatron(const std::vector<std::vector<int32_t>>& documents) {
    return {.path = WriteMegatron(folder, "in/a", documents),
            .format = InputFormat::kMegatron};
  }
  CorpusInput Mds(const std::vector<std::vector<int32_t>>& documents) {
    std::vector<std::string> samples;
    for (const auto& tokens : documents) {
      samples.push_back(MdsSample({DynamicArray(tokens)}));
    }
    return {.path = WriteMds(folder, "in", {"tokens"}, {"ndarray"}, samples),
            .format = InputFormat::kMds};
  }
  DocumentStore Store() { return *DocumentStore::Open(folder.At("out")); }
  TokenStore Tokens() { return *TokenStore::Open(folder.At("out")); }

  const Topics& topics = TheTopics();
  TemporaryFolder folder;
  CapturedProgress captured;
};

TEST_F(TokenInputTest, DocumentsKeepTheirTokensAndAreKnownByTheirText) {
  for (const bool mds : {false, true}) {
    const auto documents = Encoded();
    LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                              Take(mds ? Mds(documents) : Megatron(documents)));
    EXPECT_EQ(result.figures.at("documents"), 240);
    EXPECT_EQ(result.figures.at("token_documents"), 240);
    const DocumentStore store = Store();
    const TokenStore tokens = Tokens();
    EXPECT_EQ(store.NameOf(17), mds ? "shard.00000.mds:17" : "a:17");
    for (int i = 0; i < 240; ++i) {
      ASSERT_EQ(store.TextOf(i), topics.texts[i]);
      ASSERT_EQ(store.records()[i].id, IdOfText(topics.texts[i]));
      ASSERT_THAT(tokens.Of(i), ElementsAreArray(Encode(topics.texts[i])));
    }
  }
}

TEST_F(TokenInputTest, TokensAreNotEncodedAgain) {
  // Byte by byte, which our encoder never does.
  std::vector<std::vector<int32_t>> documents = Encoded();
  documents[5].clear();
  for (const char c : topics.texts[5]) {
    documents[5].push_back(Encode(std::string(1, c))[0]);
  }
  ASSERT_OK(Take(Megatron(documents)));
  EXPECT_THAT(Tokens().Of(5), ElementsAreArray(documents[5]));
  EXPECT_EQ(Store().TextOf(5), topics.texts[5]);
}

TEST_F(TokenInputTest, AnEndMarkEndsADocument) {
  std::vector<int32_t> packed;
  for (const char* text : {"first topic1word1", "", "third", "fourth"}) {
    for (const int32_t token : Encode(text)) packed.push_back(token);
    packed.push_back(EndMark());
  }
  packed.pop_back();
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Take(Mds({packed, {EndMark()}})));
  EXPECT_EQ(result.figures.at("documents"), 3);
  EXPECT_EQ(result.figures.at("empty"), 2);
  const DocumentStore store = Store();
  EXPECT_EQ(store.NameOf(0), "shard.00000.mds:0.0");
  EXPECT_EQ(store.TextOf(1), "third");
  EXPECT_EQ(store.NameOf(2), "shard.00000.mds:0.3");
  EXPECT_THAT(Tokens().Of(2), ElementsAreArray(Encode("fourth")));
}

TEST_F(TokenInputTest, BadDocumentsAreReportedAndCounted) {
  auto documents = Encoded();
  const int64_t ids = topics.tokenizer->vocabulary_size();
  documents[3] = {1, static_cast<int32_t>(ids), 2};
  documents[4] = {-1};
  documents[7] = {Encode("\xc3\xa9")[0]};  // half a character
  const CorpusInput input = Megatron(documents);
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result, Take(input, 3));
  EXPECT_EQ(result.figures.at("documents"), 237);
  EXPECT_EQ(result.figures.at("bad_lines"), 3);
  const std::string said = captured.Take();
  EXPECT_THAT(
      said, HasSubstr(absl::StrCat("a.idx: document 3: token 1 is ", ids,
                                   ", the tokenizer has ids 0 to ", ids - 1)));
  EXPECT_THAT(said, HasSubstr("document 4: token 0 is -1"));
  EXPECT_THAT(said,
              HasSubstr("document 7: the text of its tokens is not UTF-8"));
  EXPECT_THAT(Take(input, 2),
              StatusIs(kInvalidInput, AllOf(HasSubstr("more than 2 bad lines"),
                                            HasSubstr("a.idx: document 7"))));
}

TEST_F(TokenInputTest, AnotherTokenizersTokensAreRefused) {
  EXPECT_THAT(Take(Megatron(OfAnother()), 1000),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("in/a.idx: of 64 documents looked at, "),
                             HasSubstr("another tokenizer made them"),
                             HasSubstr("tokenizer.file"))));
}

// Halves of tokens are other tokens, or none.
TEST_F(TokenInputTest, AWrongTypeOfTokensIsTracedToTheSpec) {
  std::vector<std::string> samples;
  for (const auto& tokens : Encoded())
    samples.push_back(MdsSample({Packed(tokens)}));
  CorpusInput input = {
      .path = WriteMds(folder, "in", {"tokens"}, {"bytes"}, samples),
      .format = InputFormat::kMds,
      .token_type = TokenType::kInt32,
      .token_type_place = "corpus.yaml:7: inputs[0].tokens_type"};
  EXPECT_OK(Take(input));
  for (const TokenType wrong :
       {TokenType::kInt64, TokenType::kUint16, TokenType::kUint8}) {
    input.token_type = wrong;
    for (const int64_t max_errors : {0, 1000}) {
      EXPECT_THAT(
          Take(input, max_errors).status().message(),
          AllOf(HasSubstr("in/"),
                HasSubstr(absl::StrCat("corpus.yaml:7: inputs[0].tokens_type "
                                       "says ",
                                       NameOf(wrong), ", which may not be"))))
          << NameOf(wrong) << " " << max_errors;
    }
  }
}

TEST_F(TokenInputTest, EveryFileIsLookedAt) {
  // A good one first, which has more documents than are looked at.
  Megatron(Encoded());
  WriteMegatron(folder, "in/b", OfAnother());
  const CorpusInput input = {.path = folder.At("in"),
                             .format = InputFormat::kMegatron};
  EXPECT_THAT(Take(input, 1000),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("in/b.idx: of 64 documents looked at, ")));
}

TEST_F(TokenInputTest, WhatIsTooShortToTellIsNotOneOfThoseLookedAt) {
  auto documents = OfAnother();
  std::vector<std::vector<int32_t>> all(20'000);  // more than a batch
  for (size_t i = 0; i < 100; ++i) all[i] = Encode("one");
  all.insert(all.end(), documents.begin(), documents.begin() + 10);
  EXPECT_THAT(Take(Megatron(all), 1000),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("in/a.idx: of 10 documents looked at, ")));
}

TEST_F(TokenInputTest, MarksAndCutWordsAreNoSignOfAnotherTokenizer) {
  auto json =
      nlohmann::json::parse(*io::LocalStorage().Read(topics.tokenizer_path));
  const auto mask = static_cast<int32_t>(topics.tokenizer->vocabulary_size());
  nlohmann::json added = json["added_tokens"][0];
  added["id"] = mask;
  added["content"] = "<|mask|>";
  json["added_tokens"].push_back(added);
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto tokenizer,
      LoadForCorpus(folder.Write("masks.json", json.dump())));
  ASSERT_EQ(tokenizer->vocabulary_size(), mask + 1);
  auto documents = Encoded();
  for (size_t i = 0; i < documents.size(); ++i) {
    auto& tokens = documents[i];
    tokens.erase(tokens.begin(), tokens.begin() + i % 5);
    tokens.resize(tokens.size() - 1 - i % 3);
    tokens.insert(tokens.begin() + tokens.size() / 2, {mask, mask});
  }
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Ingest({Megatron(documents)}, 0, folder.At("out"),
                                   captured.progress(), tokenizer.get()));
  EXPECT_EQ(result.figures.at("documents"), 240);
  EXPECT_THAT(Tokens().Of(3), ElementsAreArray(documents[3]));
}

TEST_F(TokenInputTest, ManyEndMarksAreCountedAndNotKept) {
  std::vector<int32_t> marks(100'000, EndMark());
  std::vector<int32_t> between = marks;
  const std::vector<int32_t> word = Encode("alone");
  between.insert(between.begin() + 50'000, word.begin(), word.end());
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Take(Mds({marks, between, {}})));
  EXPECT_EQ(result.figures.at("documents"), 1);
  EXPECT_EQ(result.figures.at("empty"), 200'000);
  EXPECT_EQ(Store().NameOf(0), "shard.00000.mds:1.50000");
}

TEST_F(TokenInputTest, ASampleMayBeCutInsideACharacter) {
  // Of four bytes; a token each, so that the text has them all.
  std::vector<int32_t> face;
  for (const char c : std::string("\xf0\x9f\x99\x82")) {
    face.push_back(Encode(std::string(1, c))[0]);
  }
  const std::vector<int32_t> word = Encode("word");
  const auto join = [](std::vector<int32_t> a, const std::vector<int32_t>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  std::vector<std::vector<int32_t>> samples;
  for (int i = 1; i < 4; ++i) {
    samples.push_back(join(
        {face.begin() + i, face.end()},
        join(Encode(absl::StrCat("a", i)), {face.begin(), face.begin() + i})));
  }
  // Neither where a mark ends a document, nor in the middle of one.
  samples.push_back(join(join(word, {face[0], EndMark()}), word));
  samples.push_back(join(join(word, {face[1]}), word));
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result, Take(Mds(samples), 2));
  EXPECT_EQ(result.figures.at("bad_lines"), 2);
  const DocumentStore store = Store();
  ASSERT_EQ(store.count(), 4);
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(store.TextOf(i - 1), absl::StrCat("a", i));
    EXPECT_THAT(Tokens().Of(i - 1), ElementsAreArray(samples[i - 1]));
  }
  EXPECT_EQ(store.NameOf(3), "shard.00000.mds:3.1");
}

TEST_F(TokenInputTest, AMissingShardAndACutIndexEndTheBuild) {
  const CorpusInput input = Mds(Encoded());
  std::filesystem::remove(folder.At("in/shard.00000.mds"));
  EXPECT_THAT(Take(input), StatusIs(absl::StatusCode::kNotFound,
                                    HasSubstr("shard.00000.mds")));
  const CorpusInput megatron = Megatron(Encoded());
  const std::string bytes = *io::LocalStorage().Read(megatron.path);
  folder.Write("in/a.idx", bytes.substr(0, bytes.size() - 100));
  EXPECT_THAT(Take(megatron, 1000),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("truncated")));
}

TEST_F(TokenInputTest, TextOfMdsIsEncodedAsAnyOther) {
  CorpusInput input = {.path = WriteMds(folder, "in", {"domain", "id", "text"},
                                        {"str", "str", "str"},
                                        {MdsSample({"a", "first", "some text"}),
                                         MdsSample({"", "", "more text"}),
                                         MdsSample({"a", "", "half \xc3"})}),
                       .format = InputFormat::kMds};
  EXPECT_THAT(Take(input),
              StatusIs(kInvalidInput, HasSubstr("no column tokens")));
  input.keys.tokens = "";
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result, Take(input, 1));
  EXPECT_THAT(captured.Take(), HasSubstr("mds: sample 2: not UTF-8"));
  const DocumentStore store = Store();
  EXPECT_EQ(store.NameOf(0), "first");
  EXPECT_EQ(store.NameOf(1), "shard.00000.mds:1");
  EXPECT_THAT(store.domains(), ElementsAre("a", "text"));
  EXPECT_TRUE(Tokens().Of(0).empty());
}

TEST_F(TokenInputTest, FoldersAreSearchedForIndexes) {
  const std::vector<std::vector<int32_t>> some = {{1}};
  WriteMegatron(folder, "all/b", some);
  WriteMegatron(folder, "all/deep/a", some);
  folder.Write("all/orphan.bin", "x");
  folder.Write("all/notes.txt", "x");
  WriteMds(folder, "all/mds/one", {"tokens"}, {"ndarray"}, {});
  CorpusInput input = {.path = folder.At("all"),
                       .format = InputFormat::kMegatron};
  LORY_ASSERT_OK_AND_ASSIGN(const InputFiles found, FilesOf(input));
  ASSERT_EQ(found.files.size(), 2u);
  EXPECT_EQ(found.files[0].name, "b.idx");
  EXPECT_EQ(found.files[1].name, "deep/a.idx");
  EXPECT_EQ(found.skipped.size(), 4u);
  input.format = InputFormat::kMds;
  LORY_ASSERT_OK_AND_ASSIGN(const InputFiles indexes, FilesOf(input));
  ASSERT_EQ(indexes.files.size(), 1u);
  EXPECT_EQ(indexes.files[0].name, "mds/one/index.json");
  // Named as the folder has it, whatever the index is called.
  const std::string index = folder.At("all/mds/one/index.json");
  WriteMds(folder, "all/mds/one", {"tokens"}, {"ndarray"},
           {MdsSample({DynamicArray(Encode("some words"))})});
  std::filesystem::rename(index, folder.At("all/mds/one/foo.json"));
  CorpusInput by_file = input;
  by_file.path = folder.At("all/mds/one/foo.json");
  ASSERT_OK(Take(by_file));
  EXPECT_EQ(Store().NameOf(0), "shard.00000.mds:0");
  std::filesystem::rename(folder.At("all/mds/one/foo.json"), index);
  // A folder with an index is read by that alone.
  input.path = folder.At("all/mds/one");
  EXPECT_EQ(FilesOf(input)->files[0].name, "index.json");
  input.path = folder.At("all/deep");
  EXPECT_THAT(
      FilesOf(input),
      StatusIs(kInvalidInput, HasSubstr("looked for folders with an index")));
}

TEST_F(TokenInputTest, AnIndexBeneathAnotherIsReadUnlessTheOuterOneHasIt) {
  WriteMds(folder, "in", {"tokens"}, {"ndarray"}, {});
  WriteMds(folder, "in/more/deep", {"tokens"}, {"ndarray"}, {});
  WriteMds(folder, "in/.old", {"tokens"}, {"ndarray"}, {});
  const auto names = [&](const std::string& path) {
    std::vector<std::string> found;
    const auto files =
        FilesOf({.path = folder.At(path), .format = InputFormat::kMds});
    EXPECT_OK(files);
    for (const InputFile& file : files->files) found.push_back(file.name);
    EXPECT_EQ(files->skipped.size(), 1u);  // the hidden one
    return found;
  };
  EXPECT_THAT(names("in"), ElementsAre("index.json", "more/deep/index.json"));
  // As the streaming library merges indexes.
  const std::string index = folder.At("in/index.json");
  folder.Write("in/index.json",
               absl::StrReplaceAll(*io::LocalStorage().Read(index),
                                   {{"shard.0", "more/deep/shard.0"}}));
  EXPECT_THAT(names("in"), ElementsAre("index.json"));
  folder.Write("in/index.json", "{}");
  EXPECT_THAT(FilesOf({.path = folder.At("in"), .format = InputFormat::kMds}),
              StatusIs(kInvalidInput, HasSubstr("in/index.json: ")));
}

// ---- whole builds ----

struct TokenBuildTest : TokenInputTest {
  TokenBuildTest() : spec(topics.spec) {
    spec.output = folder.At("dataset");
    spec.tokenizer_file = topics.tokenizer_path;
  }
  std::string Built(const std::string& file) {
    return *io::LocalStorage().Read(absl::StrCat(spec.output, "/", file));
  }
  void Build() {
    ASSERT_OK(BuildDataset(spec, {}, captured.progress()));
    EXPECT_OK(VerifyDataset(spec.output, captured.progress()));
  }

  CorpusSpec spec;
};

// The same documents as lines of JSON and as tokens are the same dataset, but
// for the names that the lines give.
TEST_F(TokenBuildTest, TokensGiveTheShardsThatTheirTextGives) {
  const auto documents = Encoded();
  std::vector<std::vector<int32_t>> domains[2];
  for (int i = 0; i < 240; ++i) {
    const std::string& text = topics.texts[i];
    domains[(text[5] - '0') % 2].push_back(documents[i]);
  }
  std::string lines;
  for (int d : {0, 1}) {
    for (const auto& tokens : domains[d]) {
      absl::StrAppend(&lines, "{\"domain\":\"d", d, "\",\"text\":\"",
                      topics.tokenizer->Decode(tokens), "\"}\n");
    }
  }
  spec.inputs = {{.path = folder.Write("in.jsonl", lines)}};
  Build();
  const std::string expected = Built("manifest.json");
  spec.output = folder.At("of-tokens");
  CorpusInput even = Megatron(domains[0]), odd = Mds(domains[1]);
  even.domain = "d0";
  odd.domain = "d1";
  spec.inputs = {even, odd};
  Build();
  EXPECT_EQ(Built("manifest.json"), expected);
}

TEST_F(TokenBuildTest, TokensAndTextMakeOneDataset) {
  CorpusInput tokens = Megatron(Encoded());
  tokens.domain = "old";
  spec.inputs = {tokens,
                 {.path = folder.Write(
                      "new.jsonl", absl::StrReplaceAll(TopicLines(80),
                                                       {{"topic", "other"}})),
                  .domain = "new"}};
  Build();
  EXPECT_THAT(Built("stages/ingest/domains.txt"), "old\nnew");
}

TEST_F(TokenBuildTest, ChangedTokensOrTokenizerAreReadAgain) {
  spec.inputs = {Megatron(Encoded())};
  Build();
  captured.Take();
  Build();
  EXPECT_THAT(captured.Take(), HasSubstr("ingest     up to date"));
  auto documents = Encoded();
  documents.pop_back();
  Megatron(documents);
  Build();
  EXPECT_THAT(captured.Take(), HasSubstr("239 documents"));
  spec.tokenizer_file = folder.Write("t.json", Built("tokenizer.json") + "\n");
  Build();
  EXPECT_THAT(captured.Take(), HasSubstr("239 documents"));
}

}  // namespace
}  // namespace lory::corpus
