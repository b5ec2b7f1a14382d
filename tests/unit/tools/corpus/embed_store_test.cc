#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/corpus/encoder/made_up_bert.h"
#include "tests/unit/tools/corpus/hashed_rows.h"
#include "tools/corpus/embed.h"

namespace lory::corpus {
namespace {

using ::lory::testing::CapturedProgress;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;

// Slow, and dies in the block with text `fails_at`.
struct DyingEmbedder : Embedder {
  int32_t dimensions() const override { return 3; }
  nlohmann::ordered_json options() const override { return {}; }
  bool reads_texts_before() const override { return false; }
  bool is_slow() const override { return true; }
  void Prepare(const Texts&, const OnProgress&) override {}
  absl::StatusOr<int64_t> Embed(const Texts& texts, int64_t begin, int64_t end,
                                float* rows, const OnProgress&) override {
    if (fails_at >= begin && fails_at < end) {
      return absl::UnavailableError("power cut");
    }
    for (int64_t i = begin; i < end; ++i) {
      ++embedded;
      const float value = static_cast<float>(texts.of(i).size());
      for (int j = 0; j < 3; ++j) *rows++ = i % 100 == 0 ? 0 : value + j;
    }
    return 1;
  }

  int64_t fails_at = -1;
  int64_t embedded = 0;
};

struct EmbedStoreTest : ::testing::Test {
  DocumentStore Store(const std::vector<std::string>& texts) {
    auto writer = DocumentStoreWriter::Create(folder.At("store"));
    EXPECT_OK(writer);
    for (const std::string& text : texts) {
      EXPECT_OK((*writer)->Append(IdOfText(text), "name", "domain", text));
    }
    EXPECT_OK((*writer)->Finish());
    auto store = DocumentStore::Open(folder.At("store"));
    EXPECT_OK(store);
    return *std::move(store);
  }
  absl::StatusOr<StageResult> Embed(const DocumentStore& store,
                                    Embedder& embedder) {
    auto kept = KeptBlocks::Open(folder.At("blocks"), "key");
    EXPECT_OK(kept);
    return EmbedStore(store, embedder, *kept, folder.path(),
                      captured.progress());
  }
  std::string Vectors() {
    return *io::LocalStorage().Read(folder.At(kVectorsFile));
  }

  TemporaryFolder folder;
  CapturedProgress captured;
};

TEST_F(EmbedStoreTest, ARunThatDiedGoesOnWithTheBlocksItHas) {
  std::vector<std::string> texts;
  for (int i = 0; i < 1700; ++i) texts.push_back(std::string(i % 50, 'x'));
  const DocumentStore store = Store(texts);
  DyingEmbedder calm;
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult expected, Embed(store, calm));
  EXPECT_EQ(calm.embedded, 1700);
  EXPECT_EQ(expected.figures.at("zero_vectors"), 17);
  EXPECT_EQ(expected.figures.at("shortened"), 4);  // one a block
  const std::string vectors = Vectors();
  EXPECT_EQ(vectors.size(), 1700u * 3 * sizeof(float));
  EXPECT_THAT(captured.Take(), Not(HasSubstr("goes on")));

  ASSERT_OK(io::LocalStorage().Remove(folder.At("blocks")));
  ASSERT_OK(io::LocalStorage().Remove(folder.At(kVectorsFile)));
  DyingEmbedder dying;
  dying.fails_at = 1100;
  EXPECT_THAT(Embed(store, dying),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("power cut")));
  EXPECT_FALSE(std::filesystem::exists(folder.At(kVectorsFile)));
  DyingEmbedder next;
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result, Embed(store, next));
  EXPECT_THAT(captured.Take(),
              HasSubstr("goes on: 1024 of 1700 documents were done before"));
  EXPECT_EQ(next.embedded, 1700 - 1024);
  EXPECT_EQ(Vectors(), vectors);
  EXPECT_EQ(result.figures, expected.figures);
  EXPECT_EQ(result.summary, expected.summary);
}

TEST_F(EmbedStoreTest, ABlockThatWasAlteredIsMadeAgain) {
  const DocumentStore store = Store({"a", "bb", "ccc"});
  DyingEmbedder first;
  ASSERT_OK(Embed(store, first));
  const std::string vectors = Vectors();
  for (const auto& file :
       std::filesystem::directory_iterator(folder.At("blocks/key"))) {
    folder.Write("blocks/key/" + file.path().filename().string(), "altered");
  }
  DyingEmbedder next;
  ASSERT_OK(Embed(store, next));
  EXPECT_EQ(next.embedded, 3);
  EXPECT_EQ(Vectors(), vectors);
}

TEST_F(EmbedStoreTest, QuickVectorsAreThoseOfAllDocumentsAtOnce) {
  std::vector<std::string> texts;
  for (int i = 0; i < 2100; ++i) texts.push_back(absl::StrCat("a w", i % 91));
  texts[0].clear();
  const auto embedder = MakeHashedTfIdf(8192);  // two blocks
  LORY_ASSERT_OK_AND_ASSIGN(const StageResult result,
                            Embed(Store(texts), *embedder));
  EXPECT_EQ(result.figures.at("zero_vectors"), 1);
  EXPECT_THAT(result.summary, HasSubstr("2100 vectors of 8192 numbers, 1 all"));
  const std::vector<float> rows = HashedRows(texts, 8192);
  EXPECT_TRUE(Vectors() == BytesOf(std::span<const float>(rows)));
  EXPECT_FALSE(std::filesystem::exists(folder.At("blocks")));
}

struct BertEmbedderTest : EmbedStoreTest {
  std::unique_ptr<Embedder> Open(const EncoderSpec& spec) {
    auto embedder = OpenBertEmbedder(spec);
    EXPECT_OK(embedder);
    return *std::move(embedder);
  }
  std::vector<float> Rows(Embedder& embedder,
                          const std::vector<std::string>& texts,
                          int64_t begin = 0, int64_t end = -1) {
    const Texts all{static_cast<int64_t>(texts.size()),
                    [&](int64_t i) { return absl::string_view(texts[i]); }};
    if (end < 0) end = all.count;
    std::vector<float> rows((end - begin) * embedder.dimensions());
    const auto shortened =
        embedder.Embed(all, begin, end, rows.data(), [](int64_t) {});
    EXPECT_OK(shortened);
    last_shortened = *shortened;
    return rows;
  }
  std::vector<std::string> SomeTexts() {
    std::vector<std::string> texts;
    for (int i = 0; i < 200; ++i) {
      std::string text;
      for (int j = 0; j < i % 29; ++j) {
        absl::StrAppend(&text, "w", 5 + (i * j) % 35, " ");
      }
      texts.push_back(text);
    }
    return texts;
  }

  int64_t last_shortened = -1;
};

TEST_F(BertEmbedderTest, ARowIsTheSameWhateverIsAskedForWithIt) {
  const auto embedder = Open({.model = MadeUpBert().Write(folder)});
  const std::vector<std::string> texts = SomeTexts();
  const std::vector<float> all = Rows(*embedder, texts);
  EXPECT_EQ(last_shortened, 39);  // more than 22 words
  for (const auto& [begin, end] :
       {std::pair<int64_t, int64_t>{0, 1}, {3, 60}, {199, 200}, {17, 17}}) {
    const std::vector<float> some = Rows(*embedder, texts, begin, end);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + begin * 12));
  }
  const std::vector<float> zeros(12);
  EXPECT_EQ(Rows(*embedder, texts, 0, 1), zeros);  // has no words
  EXPECT_NEAR(Similarity(&all[12], &all[12], 12), 1, 1e-6);
}

TEST_F(BertEmbedderTest, OnlyTheBeginOfALongTextCounts) {
  const std::string model = MadeUpBert().Write(folder);
  const auto embedder = Open({.model = model, .max_tokens = 5});
  const std::vector<float> whole = Rows(*embedder, {"w5 w6 w7"});
  EXPECT_EQ(last_shortened, 0);
  EXPECT_EQ(Rows(*embedder, {"w5 w6 w7 w8"}), whole);
  EXPECT_EQ(last_shortened, 1);
  EXPECT_NE(Rows(*embedder, {"w5 w6 w8"}), whole);
}

TEST_F(BertEmbedderTest, TheSpecDecidesOnPoolingAndLength) {
  const MadeUpBert made_up;
  const std::string model = made_up.Write(folder);
  const std::vector<std::string> text = {"w5 w6 w7"};
  const auto raw = Open({.model = model, .normalize = false});
  std::vector<float> row = Rows(*raw, text);
  EXPECT_GT(std::abs(Similarity(row.data(), row.data(), 12) - 1), 0.01);
  ToUnitLength(row.data(), 12);
  EXPECT_EQ(Rows(*Open({.model = model}), text), row);
  folder.Write("model/1_Pooling/config.json",
               R"({"pooling_mode_cls_token": true})");
  const auto cls = Rows(*Open({.model = model}), text);
  EXPECT_NE(cls, row);
  EXPECT_EQ(cls, Rows(*Open({.model = model, .pooling = Pooling::kCls}), text));
  EXPECT_EQ(row,
            Rows(*Open({.model = model, .pooling = Pooling::kMean}), text));
}

TEST_F(BertEmbedderTest, WhatCannotWorkIsSaidWhenItIsOpened) {
  MadeUpBert made_up;
  const std::string model = made_up.Write(folder);
  EXPECT_THAT(OpenBertEmbedder({.model = model, .max_tokens = 25}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("embed.max_tokens is 25, but " + model +
                                 "/config.json has positions for 24")));
  folder.Write("model/vocab.txt",
               *io::LocalStorage().Read(model + "/vocab.txt") + "more\n");
  EXPECT_THAT(OpenBertEmbedder({.model = model}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("the tokenizer has an id 40, config.json's "
                                 "vocab_size is 40")));
  made_up.shape.positions = 2;
  MadeUpBert tiny(made_up.shape);
  EXPECT_THAT(OpenBertEmbedder({.model = tiny.Write(folder, "tiny")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("max_position_embeddings is 2")));
}

TEST_F(BertEmbedderTest, NumbersBeyondFp32AreAnError) {
  MadeUpBert made_up;
  for (float& value :
       made_up.tensors.at("encoder.layer.1.output.LayerNorm.bias").values) {
    value = 3e38f;
  }
  const auto embedder =
      Open({.model = made_up.Write(folder), .normalize = false});
  float row[12];
  const Texts texts{1, [](int64_t) { return "w5"; }};
  const auto result = embedder->Embed(texts, 0, 1, row, [](int64_t) {});
  EXPECT_OK(result);  // large, but a number
  for (float& value :
       made_up.tensors.at("encoder.layer.1.output.LayerNorm.weight").values) {
    value = 3e38f;
  }
  const auto broken = Open({.model = made_up.Write(folder, "broken")});
  EXPECT_THAT(broken->Embed(texts, 0, 1, row, [](int64_t) {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("document 0: the encoder's numbers")));
}

}  // namespace
}  // namespace lory::corpus
