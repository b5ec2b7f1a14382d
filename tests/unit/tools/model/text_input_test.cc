// Texts that the commands are given, and what they show of tokens.

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/model/eval/eval_data.h"
#include "tests/unit/tools/model/models.h"
#include "tests/unit/tools/model/say.h"

namespace lory::surgery {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::LorySpec;
using ::lory::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

struct TextInputTest : ::testing::Test {
  TextInputTest()
      : data(lory::eval::WriteByteDataset(folder)),
        lory(WriteModel(folder.At("lory"), lory::eval::OfBytes(LorySpec()))),
        dense(
            WriteModel(folder.At("dense"), lory::eval::OfBytes(DenseSpec()))) {}

  static void Refused(const std::vector<std::string>& arguments,
                      const std::string& words) {
    EXPECT_THAT(Say(arguments),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(words)));
  }

  void ExportRefused(const char* flag, const std::string& value,
                     const std::string& words) const {
    Refused({"export", lory, "--to", folder.At("hf"), "--tokenizer", data, flag,
             value},
            words);
  }

  const lory::testing::TemporaryFolder folder;
  const std::string data;
  const std::string lory;
  const std::string dense;
};

TEST_F(TextInputTest, AnEmptyTextIsToldAsSuch) {
  const std::string empty = folder.Write("empty.txt", "");
  ExportRefused("--prompt", "", "--prompt is empty");
  ExportRefused("--prompt-file", "", "--prompt-file: the path is empty");
  ExportRefused("--routing-text", "", "--routing-text: the path is empty");
  ExportRefused("--prompt-file", empty, "empty.txt is empty");
  ExportRefused("--routing-text", empty, "empty.txt is empty");
}

TEST_F(TextInputTest, WhatIsNotUtf8IsRefusedByItsPlace) {
  const std::string latin = folder.Write("latin.txt", "caf\xe9 au lait");
  ExportRefused("--prompt", "a\xff", "--prompt: not UTF-8, from byte 1 on");
  for (const char* flag : {"--prompt-file", "--routing-text"}) {
    ExportRefused(flag, latin, "latin.txt: not UTF-8, from byte 3 on (\\xe9)");
  }
  Refused({"logits", dense, "--tokenizer", data, "--text", "\xc3"},
          "--text: not UTF-8, from byte 0 on");
  Refused({"eval", dense, "--tokenizer", data, "--text", latin},
          "latin.txt: not UTF-8, from byte 3 on");
}

TEST_F(TextInputTest, LogitsShowHalfACharacterAsItsBytes) {
  LORY_ASSERT_OK_AND_ASSIGN(const Answer answer,
                            Say({"logits", dense, "--tokenizer", data, "--text",
                                 "a", "--top", "999"}));
  EXPECT_THAT(answer.text, HasSubstr("\"\\xe2\"\n"));
  EXPECT_THAT(answer.text, HasSubstr("\"e\"\n"));
  EXPECT_THAT(answer.text, Not(HasSubstr("\xe2")));
}

TEST_F(TextInputTest, AnImportSaysWhichOfTwoTokenizersItTook) {
  const std::string hf = folder.At("hf");
  ASSERT_OK(Say({"export", dense, "--to", hf, "--tokenizer", data}));
  const auto imported = [&](const char* to) {
    const auto answer = Say({"import", hf, "--to", folder.At(to)});
    EXPECT_OK(answer);
    return answer.ok() ? answer->text : "";
  };
  EXPECT_THAT(imported("one"), Not(HasSubstr("two tokenizers")));
  folder.Write("hf/tokenizer.model", "another");
  EXPECT_THAT(imported("two"),
              HasSubstr("of its two tokenizers tokenizer.json is taken"));
}

}  // namespace
}  // namespace lory::surgery
