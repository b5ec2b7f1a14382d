// What the marks of texts are, and how text is made, from import to export.

#include "tools/model/generation_notes.h"

#include <nlohmann/json.hpp>

#include "common/io/storage.h"
#include "tests/support/sentence_piece_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/model/eval/eval_data.h"
#include "tests/unit/tools/model/models.h"
#include "tests/unit/tools/model/say.h"
#include "tools/model/commands.h"

namespace lory::surgery {
namespace {

using ::lory::model::DenseSpec;
using ::lory::testing::StatusIs;
using nlohmann::json;
using ::testing::HasSubstr;

struct GenerationNotesTest : ::testing::Test {
  static void Run(std::vector<std::string> arguments) {
    ASSERT_OK(Say(std::move(arguments)));
  }

  std::string Text(const std::string& name) const {
    auto text = lory::io::LocalStorage().Read(folder.At(name));
    EXPECT_OK(text);
    return text.value_or("");
  }

  // A Hugging Face folder of a model of the byte tokenizer.
  std::string WriteForeign(const json& ids) const {
    Run({"export",
         WriteModel(folder.At("made"), lory::eval::OfBytes(DenseSpec())),
         "--to", folder.At("hf")});
    json config = json::parse(Text("hf/config.json"));
    EXPECT_TRUE(config["eos_token_id"].is_null());
    config.update(ids);
    folder.Write("hf/config.json", config.dump());
    return folder.At("hf");
  }

  const lory::testing::TemporaryFolder folder;
};

TEST_F(GenerationNotesTest, GoFromImportToExport) {
  const json ids = {{"bos_token_id", 1}, {"eos_token_id", {2, 5}}};
  const std::string hf = WriteForeign(ids);
  folder.Write("hf/generation_config.json",
               R"({"eos_token_id": 5, "temperature": 0.6, "do_sample": true,
                   "transformers_version": "5.23.0"})");
  Run({"import", hf, "--to", folder.At("ours")});
  Run({"merge", "--base", folder.At("ours"), "--add", folder.At("ours"), "--to",
       folder.At("merged")});
  for (const char* from : {"ours", "merged"}) {
    Run({"export", folder.At(from), "--to", folder.At("back"), "--force"});
    const json config = json::parse(Text("back/config.json"));
    EXPECT_EQ(config["bos_token_id"], 1);
    EXPECT_EQ(config["eos_token_id"], json({2, 5}));
    EXPECT_TRUE(config["pad_token_id"].is_null());
    EXPECT_EQ(
        json::parse(Text("back/generation_config.json")),
        json({{"eos_token_id", 5}, {"temperature", 0.6}, {"do_sample", true}}));
  }
}

TEST_F(GenerationNotesTest, WithoutAFileTextIsMadeByTheModelsIds) {
  WriteForeign({{"bos_token_id", 1}, {"eos_token_id", 2}});
  std::filesystem::remove(folder.At("hf/generation_config.json"));
  Run({"import", folder.At("hf"), "--to", folder.At("ours")});
  Run({"export", folder.At("ours"), "--to", folder.At("back")});
  const json made = json::parse(Text("back/generation_config.json"));
  EXPECT_EQ(made["bos_token_id"], 1);
  EXPECT_EQ(made["eos_token_id"], 2);
  EXPECT_EQ(made["_from_model_config"], true);
}

TEST_F(GenerationNotesTest, IdsThatAreNotNamedAreThoseOfTransformers) {
  const std::string hf = WriteForeign(json::object());
  json config = json::parse(Text("hf/config.json"));
  config.erase("bos_token_id");
  config.erase("eos_token_id");
  folder.Write("hf/config.json", config.dump());
  LORY_ASSERT_OK_AND_ASSIGN(const GenerationNotes notes,
                            ReadGenerationNotes(hf, 300));
  EXPECT_EQ(json::parse(notes.token_ids),
            json({{"bos_token_id", 1}, {"eos_token_id", 2}}));
}

TEST_F(GenerationNotesTest, WhatLiesBesideATokenizerGoesWithIt) {
  const std::string data = lory::eval::WriteByteDataset(folder);
  const std::string model =
      WriteModel(folder.At("model"), lory::eval::OfBytes(DenseSpec()));
  const auto exported = [&] {
    Run({"export", model, "--to", folder.At("hf"), "--tokenizer", data,
         "--force"});
    return json::parse(Text("hf/config.json"));
  };
  // As ever: what ends documents begins texts, too.
  EXPECT_EQ(exported()["bos_token_id"], lory::eval::kEndOfDocument);
  EXPECT_EQ(exported()["eos_token_id"], lory::eval::kEndOfDocument);
  const std::string config =
      R"({"bos_token": null, "eos_token": {"content": "<|endoftext|>"},)"
      R"( "model_max_length": 5})";
  folder.Write("data/tokenizer_config.json", config);
  folder.Write("data/special_tokens_map.json", "{}");
  EXPECT_EQ(exported()["eos_token_id"], lory::eval::kEndOfDocument);
  EXPECT_EQ(Text("hf/tokenizer_config.json"), config);
  EXPECT_EQ(Text("hf/special_tokens_map.json"), "{}");
  exported();  // --force knows its own files
}

TEST_F(GenerationNotesTest, TheMarkBeforeATextIsTheOneThatBeginsIt) {
  auto spec = DenseSpec();
  spec.set_vocabulary_size(263);
  // Of pieces of which a tokenizer.json can be made.
  lory::testing::SentencePieceFile file{.pieces = ""};
  float score = 0;
  for (const char* piece : {"\u2581", "a", "b", "ab"}) {
    file.pieces += lory::testing::PieceField(piece, score--,
                                             lory::testing::PieceType::kNormal);
  }
  folder.Write("tokenizer/tokenizer.model", file.Bytes());
  folder.Write("tokenizer/tokenizer_config.json",
               R"({"add_bos_token": true, "bos_token": "<s>"})");
  Run({"export", WriteModel(folder.At("model"), spec), "--to", folder.At("hf"),
       "--tokenizer", folder.At("tokenizer")});
  const json config = json::parse(Text("hf/config.json"));
  EXPECT_EQ(config["bos_token_id"], 1);
  EXPECT_EQ(config["eos_token_id"], 2);
  const json tokenizer = json::parse(Text("hf/tokenizer_config.json"));
  EXPECT_EQ(tokenizer["bos_token"], "<s>");
  EXPECT_EQ(tokenizer["eos_token"], "</s>");
  EXPECT_EQ(tokenizer["add_bos_token"], true);
  EXPECT_EQ(tokenizer["add_eos_token"], false);
  // What is read from the export has the mark, by either of its files.
  for (const char* name : {"hf/tokenizer.json", "hf/tokenizer.model"}) {
    LORY_ASSERT_OK_AND_ASSIGN(const auto read,
                              lory::text::LoadTokenizer(folder.At(name)));
    EXPECT_EQ(read->marks().before, std::vector<int32_t>{1}) << name;
  }
  EXPECT_THAT(Say({"export", folder.At("model"), "--to", folder.At("hf"),
                   "--force", "--tokenizer", folder.At("hf/tokenizer.model")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("is the folder of --tokenizer")));
}

TEST_F(GenerationNotesTest, AFileThatIsNoObjectIsNamed) {
  const std::string hf = WriteForeign(json::object());
  folder.Write("hf/generation_config.json", "[1]");
  EXPECT_THAT(ReadGenerationNotes(hf, 300),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("hf/generation_config.json: ")));
}

}  // namespace
}  // namespace lory::surgery
