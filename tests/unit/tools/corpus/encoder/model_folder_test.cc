#include "tools/corpus/encoder/model_folder.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/corpus/encoder/made_up_bert.h"

namespace lory::corpus {
namespace {

using ::lory::testing::Mutations;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::HasSubstr;

struct ModelFolderTest : ::testing::Test {
  absl::StatusOr<BertShape> Shape(const nlohmann::json& config) {
    folder.Write("config.json", config.dump());
    return ReadBertShape(folder.path());
  }
  absl::StatusOr<Pooling> PoolingOf(const std::string& text) {
    folder.Write("1_Pooling/config.json", text);
    return PoolingThere();
  }
  absl::StatusOr<Pooling> PoolingThere() {
    const auto file = FindPoolingFile(folder.path());
    if (!file.ok()) return file.status();
    return ReadPooling(folder.path(), *file);
  }
  void ExpectPooling(Pooling expected) {
    LORY_ASSERT_OK_AND_ASSIGN(const Pooling pooling, PoolingThere());
    EXPECT_EQ(pooling, expected);
  }
  // Writes modules.json with these types and paths.
  void WriteModules(
      const std::vector<std::pair<std::string, std::string>>& modules) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [type, path] : modules) {
      list.push_back({{"idx", list.size()},
                      {"name", absl::StrCat(list.size())},
                      {"path", path},
                      {"type", "sentence_transformers.models." + type}});
    }
    folder.Write("modules.json", list.dump());
  }

  TemporaryFolder folder;
  const nlohmann::json good = MadeUpBert().config;
};

TEST_F(ModelFolderTest, TheShapeIsThatOfTheFile) {
  LORY_ASSERT_OK_AND_ASSIGN(const BertShape shape, Shape(good));
  EXPECT_EQ(shape.hidden, 12);
  EXPECT_EQ(shape.layers, 2);
  EXPECT_EQ(shape.heads, 3);
  EXPECT_EQ(shape.intermediate, 20);
  EXPECT_EQ(shape.vocabulary, 40);
  EXPECT_EQ(shape.positions, 24);
  EXPECT_EQ(shape.epsilon, 1e-12);
}

TEST_F(ModelFolderTest, WhatCannotBeRunIsNamedWithItsKey) {
  struct Case {
    const char* key;
    nlohmann::json value;
    const char* error;
  };
  for (const Case& c :
       {Case{"model_type", "roberta", "model_type is \"roberta\"; only bert"},
        Case{"position_embedding_type", "relative_key",
             "position_embedding_type is \"relative_key\"; must be absolute"},
        Case{"hidden_act", "silu", "hidden_act is \"silu\"; must be gelu"},
        Case{"is_decoder", true, "is_decoder is true"},
        Case{"hidden_size", 0, "hidden_size is 0; must be from 1 to"},
        Case{"hidden_size", 13, "hidden_size 13 cannot be divided among"},
        Case{"vocab_size", "x", "vocab_size is \"x\"; must be from 1"},
        Case{"num_hidden_layers", 1e9, "num_hidden_layers is 1000000000.0"},
        Case{"layer_norm_eps", -1, "layer_norm_eps is -1"}}) {
    nlohmann::json config = good;
    config[c.key] = c.value;
    EXPECT_THAT(Shape(config), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr(c.error)));
  }
  nlohmann::json config = good;
  config.erase("hidden_size");
  EXPECT_THAT(Shape(config),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("config.json: hidden_size is missing")));
}

TEST_F(ModelFolderTest, AFolderThatIsNotThereIsSaidSo) {
  EXPECT_THAT(ReadBertShape(folder.At("none")),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("none: no such folder: embed.model")));
  EXPECT_THAT(ReadBertShape(folder.path()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.json")));
}

TEST_F(ModelFolderTest, PoolingIsThatOfSentenceTransformers) {
  LORY_ASSERT_OK_AND_ASSIGN(const Pooling usual, PoolingThere());
  EXPECT_EQ(usual, Pooling::kMean);
  LORY_ASSERT_OK_AND_ASSIGN(const Pooling cls,
                            PoolingOf(R"({"pooling_mode_cls_token": true,
                    "pooling_mode_mean_tokens": false})"));
  EXPECT_EQ(cls, Pooling::kCls);
  LORY_ASSERT_OK_AND_ASSIGN(const Pooling mean,
                            PoolingOf(R"({"word_embedding_dimension": 12,
                    "pooling_mode_mean_tokens": true})"));
  EXPECT_EQ(mean, Pooling::kMean);
  for (const char* other : {R"({"pooling_mode_max_tokens": true})",
                            R"({"pooling_mode_cls_token": true,
                                "pooling_mode_mean_tokens": true})",
                            "{}"}) {
    EXPECT_THAT(PoolingOf(other),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("1_Pooling/config.json: neither")));
  }
}

TEST_F(ModelFolderTest, ModulesSayWherePoolingIs) {
  folder.Write("1_Pooling/config.json", R"({"pooling_mode_cls_token": true})");
  folder.Write("2_Other/config.json", R"({"pooling_mode": "mean"})");
  WriteModules({{"Transformer", ""}, {"Pooling", "1_Pooling"}});
  ExpectPooling(Pooling::kCls);
  WriteModules(
      {{"Transformer", ""}, {"Pooling", "2_Other"}, {"Normalize", "3_N"}});
  ExpectPooling(Pooling::kMean);
  folder.Write("2_Other/config.json", R"({"pooling_mode": ["cls", "max"]})");
  EXPECT_THAT(PoolingThere(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("2_Other/config.json: neither")));
  WriteModules({{"Transformer", ""}, {"Pooling", "4_None"}});
  EXPECT_THAT(PoolingThere(), StatusIs(absl::StatusCode::kNotFound,
                                       HasSubstr("4_None/config.json")));
  WriteModules({{"Transformer", ""}});
  ExpectPooling(Pooling::kMean);
}

TEST_F(ModelFolderTest, ModulesThatWouldBeLeftOutAreRefusedByName) {
  const auto expect_error = [&](const std::string& what) {
    EXPECT_THAT(FindPoolingFile(folder.path()),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("modules.json: " + what)));
  };
  // LaBSE's.
  WriteModules({{"Transformer", ""},
                {"Pooling", "1_Pooling"},
                {"Dense", "2_Dense"},
                {"Normalize", "3_Normalize"}});
  expect_error("[2]: type is \"sentence_transformers.models.Dense\"; only one");
  WriteModules({{"Transformer", ""}, {"Pooling", "a"}, {"Pooling", "b"}});
  expect_error("[2]: type is");
  WriteModules({{"Transformer", "0_BERT"}, {"Pooling", "1_Pooling"}});
  expect_error("[0]: the Transformer is in \"0_BERT\"");
  folder.Write("modules.json", "[7]");
  expect_error("[0]: type is 7");
  folder.Write("modules.json", "{}");
  expect_error("no JSON array");
}

TEST_F(ModelFolderTest, DamagedFilesAreReadOrRefused) {
  Mutations mutations(9);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    folder.Write("config.json", mutations.Of(good.dump()));
    const auto shape = ReadBertShape(folder.path());
    refused += shape.ok() ? 0 : 1;
    if (shape.ok()) {
      EXPECT_GT(shape->hidden, 0);
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 1950);
  std::string deep = R"({"model_type":)";
  for (int i = 0; i < 100'000; ++i) deep += R"({"a":)";
  folder.Write("config.json", deep + "1" + std::string(100'001, '}'));
  EXPECT_FALSE(ReadBertShape(folder.path()).ok());
}

}  // namespace
}  // namespace lory::corpus
