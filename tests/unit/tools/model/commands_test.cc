#include "tools/model/commands.h"

#include <cmath>
#include <filesystem>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "tests/support/sentence_piece_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/model/eval/eval_data.h"
#include "tests/unit/tools/model/models.h"
#include "tests/unit/tools/model/say.h"
#include "tools/model/logits.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;
using ::lory::model::DenseSpec;
using ::lory::model::LorySpec;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Matcher;
using ::testing::Not;

struct CommandsTest : ::testing::Test {
  std::string Dense(uint64_t seed) {
    return WriteModel(folder.At(absl::StrCat("dense-", seed)), DenseSpec(),
                      seed);
  }
  const TemporaryFolder folder;
};

TEST_F(CommandsTest, UpcyclingChangesNothingThatTheModelSays) {
  const std::string dense = Dense(1);
  const std::string lory = folder.At("lory");
  ASSERT_OK(Say({"upcycle", dense, "--experts", "4", "--segment-length", "4",
                 "--first-segment", "learned", "--to", lory}));
  const auto before = Load(dense);
  const auto after = Load(lory);
  EXPECT_EQ(after->shape().expert_count, 4);
  EXPECT_EQ(after->spec().feed_forward().lory().first_segment(),
            lory::v1::LoryFeedForward::LEARNED);
  EXPECT_FALSE(after->is_dense_phase());
  const std::vector<int64_t> tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_TRUE(ComputeLogits(*after, tokens)
                  ->allclose(*ComputeLogits(*before, tokens), 1e-4, 1e-5));
  EXPECT_THAT(Say({"upcycle", lory, "--experts", "4", "--segment-length", "4",
                   "--to", folder.At("x")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("has experts already")));
  EXPECT_THAT(Say({"upcycle", dense, "--experts", "4", "--segment-length", "5",
                   "--to", folder.At("x")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("segment_length")));
  EXPECT_FALSE(fs::exists(folder.At("x")));
}

TEST_F(CommandsTest, ConvertGoesEitherWayByWhatItIsGiven) {
  auto spec = DenseSpec();
  spec.mutable_feed_forward()->mutable_token_choice()->set_expert_count(4);
  for (const auto& [name, model, architecture] :
       {std::tuple("dense", DenseSpec(), "LlamaForCausalLM"),
        std::tuple("mixtral", spec, "MixtralForCausalLM")}) {
    const std::string at = folder.At(name);
    WriteModel(at, model);
    LORY_ASSERT_OK_AND_ASSIGN(Answer answer,
                              Say({"convert", at, "--to", at + "-hf"}));
    EXPECT_THAT(answer.text, HasSubstr(architecture));
    ASSERT_OK(Say({"convert", at + "-hf", "--to", at + "-back"}));
    EXPECT_TRUE(SameWeights(*Load(at + "-back"), *Load(at))) << name;
  }
  EXPECT_THAT(Say({"convert", folder.At("dense-hf"), "--to", folder.At("x"),
                   "--dtype", "bf16"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("dense-hf"), HasSubstr("--dtype"))));
  EXPECT_THAT(
      Say({"convert", folder.At("nothing"), "--to", folder.At("x")}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("manifest.json"), HasSubstr("config.json"))));
  EXPECT_FALSE(fs::exists(folder.At("x")));
}

TEST_F(CommandsTest, ConvertTakesNoFolderThatCouldBeEither) {
  const std::string dense = Dense(1);
  folder.Write("dense-1/config.json", "{}");
  EXPECT_THAT(Say({"convert", dense, "--to", folder.At("x")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("both manifest.json"),
                             HasSubstr("lory-model export"),
                             HasSubstr("lory-model import"))));
  EXPECT_OK(Say({"export", dense, "--to", folder.At("x")}));
}

TEST_F(CommandsTest, NothingIsConvertedIntoItself) {
  const std::string dense = Dense(1), hf = folder.At("hf");
  ASSERT_OK(Say({"convert", dense, "--to", hf}));
  for (const std::string& source : {dense, hf}) {
    for (const char* beneath : {"", "/", "/inner"}) {
      EXPECT_THAT(Say({"convert", source, "--to", source + beneath, "--force"}),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           HasSubstr("the folder that is read")));
    }
  }
  EXPECT_OK(Say({"convert", dense, "--to", hf, "--force"}));
}

TEST_F(CommandsTest, NothingTakesThePlaceOfWhatItIsMadeOf) {
  const std::string base = folder.At("base"), tuned = folder.At("tuned");
  for (const auto& [to, seed] : {std::pair(base, 1), {tuned, 2}}) {
    ASSERT_OK(Say({"merge", "--base", Dense(seed), "--add",
                   folder.At(absl::StrCat("dense-", seed)), "--to", to}));
  }
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("the folder that is read"));
  for (const std::string& to : {base, tuned, base + "/in"}) {
    for (std::vector<std::string> line :
         {std::vector<std::string>{"merge", "--base", base, "--add", tuned},
          {"ensemble", "--base", base, "--add", tuned, "--pool-length", "4"}}) {
      line.insert(line.end(), {"--to", to, "--force"});
      EXPECT_THAT(Say(line), refused);
    }
  }
  EXPECT_THAT(Say({"upcycle", base, "--experts", "2", "--segment-length", "4",
                   "--to", base, "--force"}),
              refused);
  const std::string part = base + "/part-0-of-1.safetensors";
  EXPECT_THAT(Say({"logits", base, "--tokens", "1", "--force", "--to", part}),
              refused);
  EXPECT_TRUE(SameWeights(*Load(base), *Load(folder.At("dense-1"))));
  EXPECT_TRUE(SameWeights(*Load(tuned), *Load(folder.At("dense-2"))));
}

TEST_F(CommandsTest, AnExportSaysWhatItsFormatMadeZero) {
  const auto model = lory::model::MakeModel(DenseSpec());
  {
    at::NoGradGuard no_grad;
    model->parameters().flat_values().narrow(0, 7, 2).fill_(1e-9);
  }
  const std::string small = folder.At("small");
  ASSERT_OK(WriteCheckpoint(*model, {.job = "jobs/test", .note = "test"}, small,
                            /*force=*/false));
  const auto said = [&](const char* dtype) {
    return Say({"export", small, "--to", folder.At("hf"), "--force", "--dtype",
                dtype})
        ->text;
  };
  EXPECT_THAT(said("fp16"),
              AllOf(HasSubstr("2 weights were too small for fp16"),
                    HasSubstr("--dtype bf16")));
  EXPECT_THAT(said("bf16"), Not(HasSubstr("too small")));
}

TEST_F(CommandsTest, MergeAndDiffSayWhatBecameOfAModel) {
  const std::string base = Dense(1);
  const std::string tuned = Dense(2);
  const std::string merged = folder.At("merged");
  ASSERT_OK(Say({"merge", "--base", base, "--add", tuned, "--to", merged}));
  LORY_ASSERT_OK_AND_ASSIGN(Answer answer, Say({"diff", merged, tuned}));
  EXPECT_FALSE(answer.is_different);
  LORY_ASSERT_OK_AND_ASSIGN(answer, Say({"diff", merged, base}));
  EXPECT_TRUE(answer.is_different);
  EXPECT_THAT(Say({"merge", "--base", base, "--add", tuned, "--to", merged}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("--force")));
  // Added and subtracted: the base again.
  ASSERT_OK(Say({"merge", "--base", base, "--add", tuned, "--subtract", tuned,
                 "--scale", "0.5", "--to", merged, "--force"}));
  LORY_ASSERT_OK_AND_ASSIGN(answer, Say({"diff", merged, base, "-o", "json"}));
  EXPECT_FALSE(answer.is_different);
  EXPECT_THAT(Say({"merge", "--base", base, "--to", folder.At("x")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--add")));
  EXPECT_THAT(Say({"merge", "--base", base, "--to", folder.At("x"), "--add",
                   WriteModel(folder.At("lory"), LorySpec())}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lory:")));
}

TEST_F(CommandsTest, AnEnsembleIsMadeOfABaseAndWhatWasTunedFromIt) {
  const std::string to = folder.At("ensemble");
  ASSERT_OK(Say({"ensemble", "--base", Dense(1), "--add", Dense(2), Dense(3),
                 "--gate", "linear", "--pool-length", "4", "--to", to}));
  const auto ensemble = Load(to);
  EXPECT_EQ(
      ensemble->shape().feed_forward_summary,
      "a base and 2 task vectors weighted by a sequence's first 4 tokens");
  EXPECT_THAT(Say({"export", to, "--to", folder.At("hf")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("weight_ensembling")));
  EXPECT_FALSE(fs::exists(folder.At("hf")));
  const std::string base = Dense(4);
  const std::string tuned = Dense(5);
  for (const std::string weight : {"0", "-1", "nan", "1e308", "1e-60"}) {
    EXPECT_THAT(
        Say({"ensemble", "--base", base, "--add", tuned, "--pool-length", "4",
             "--initial-weight", weight, "--to", folder.At("x")}),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 HasSubstr("--initial-weight: " + weight +
                           " is not a number "
                           "above 0 that a 32-bit float holds")));
  }
}

TEST_F(CommandsTest, AnOriginNamesTheJobsAndNotTheirFolders) {
  // As a job leaves it: a step, and no origin.
  const std::string base = Dense(1);
  LORY_ASSERT_OK_AND_ASSIGN(const LoadedCheckpoint loaded,
                            LoadCheckpoint(base));
  auto manifest = loaded.manifest;
  manifest.job = "jobs/small-s1";
  manifest.spec.clear_labels();
  manifest.checkpoint.set_step(400);
  folder.Write("dense-1/manifest.json",
               lory::data::SerializeCheckpointManifest(manifest));
  const std::string to = folder.At("merged");
  LORY_ASSERT_OK_AND_ASSIGN(const Answer answer,
                            Say({"merge", "--base", base, "--add", Dense(2),
                                 "--subtract", Dense(3), "--to", to}));
  constexpr char kNote[] =
      "merge of jobs/small-s1 at step 400 + dense-2 - dense-3, scale 1";
  EXPECT_THAT(answer.text, HasSubstr(kNote));
  EXPECT_EQ(LoadCheckpoint(to)->manifest.spec.labels().at("origin"), kNote);
}

TEST_F(CommandsTest, ALoryCheckpointIsExportedUnderARoutingOnly) {
  const std::string lory = WriteModel(folder.At("lory"), LorySpec());
  const std::string to = folder.At("hf");
  EXPECT_THAT(
      Say({"export", lory, "--to", to}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("--prompt-file"), HasSubstr("--routing-text"))));
  EXPECT_THAT(Say({"export", lory, "--to", to, "--prompt", "a", "--routing",
                   "uniform"}),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::_));
  EXPECT_THAT(
      Say({"export", lory, "--to", to, "--prompt-file", folder.At("none")}),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_FALSE(fs::exists(to));
  LORY_ASSERT_OK_AND_ASSIGN(
      const Answer answer,
      Say({"export", lory, "--to", to, "--routing", "uniform"}));
  EXPECT_THAT(answer.text, AllOf(HasSubstr("uniform"),
                                 HasSubstr("without tokenizer files")));
  ASSERT_OK(Say({"import", to, "--to", folder.At("back")}));
  LORY_ASSERT_OK_AND_ASSIGN(const Answer looked,
                            Say({"inspect", folder.At("back")}));
  EXPECT_THAT(looked.text, HasSubstr("feed-forward dense"));
}

TEST_F(CommandsTest, NumbersThatAreNoneAreNotWrittenAsAModel) {
  const std::string base = Dense(1);
  const std::string tuned = Dense(2);
  for (const char* scale : {"nan", "inf", "-inf", "1e300", "1e400"}) {
    EXPECT_THAT(
        Say({"merge", "--base", base, "--add", tuned, "--scale", scale, "--to",
             folder.At("x")}),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--scale")))
        << scale;
  }
  for (const char* stddev : {"nan", "inf", "0", "-1", "1e300"}) {
    EXPECT_THAT(Say({"upcycle", base, "--experts", "2", "--segment-length", "4",
                     "--router-stddev", stddev, "--to", folder.At("x")}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("--router-stddev")))
        << stddev;
  }
  EXPECT_FALSE(fs::exists(folder.At("x")));
  // What was not finite before is said and kept.
  const auto model = Load(base);
  model->parameters().Get("lm_head.weight").detach()[0][0] = std::nanf("");
  const std::string odd = folder.At("odd");
  ASSERT_OK(WriteCheckpoint(*model, {.job = "jobs/test", .note = "odd"}, odd,
                            /*force=*/false));
  LORY_ASSERT_OK_AND_ASSIGN(
      const Answer merged,
      Say({"merge", "--base", odd, "--add", tuned, "--to", folder.At("x")}));
  EXPECT_THAT(merged.text, HasSubstr("1 not finite"));
  ASSERT_OK(Say({"export", odd, "--to", folder.At("hf")}));
  LORY_ASSERT_OK_AND_ASSIGN(
      const Answer imported,
      Say({"import", folder.At("hf"), "--to", folder.At("back")}));
  EXPECT_THAT(imported.text, HasSubstr("1 not finite"));
}

TEST_F(CommandsTest, ForceReplacesWhatLoryModelMadeAndNothingElse) {
  const std::string dense = Dense(1);
  const std::string hf = folder.At("hf");
  const std::string made = folder.At("made");
  ASSERT_OK(Say({"export", dense, "--to", hf}));
  ASSERT_OK(Say({"export", dense, "--to", hf, "--force"}));
  ASSERT_OK(Say({"import", hf, "--to", made}));
  ASSERT_OK(Say({"import", hf, "--to", made, "--force"}));
  const auto refused = [](const char* why) {
    return StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(why));
  };
  // A dataset, another's model, a job's checkpoint.
  folder.Write("dataset/manifest.json", "{\"kind\":\"lory.dataset\"}");
  EXPECT_THAT(Say({"import", hf, "--to", folder.At("dataset"), "--force"}),
              refused("not even --force"));
  folder.Write("theirs/config.json", "{}");
  EXPECT_THAT(Say({"export", dense, "--to", folder.At("theirs"), "--force"}),
              refused("not even --force"));
  EXPECT_THAT(Say({"import", hf, "--to", dense, "--force"}),
              refused("jobs/test"));
  // An output that somebody added to.
  folder.Write("hf/main.py", "print()");
  EXPECT_THAT(Say({"export", dense, "--to", hf, "--force"}),
              refused("main.py"));
  folder.Write("made/notes.txt", "good");
  EXPECT_THAT(Say({"import", hf, "--to", made, "--force"}),
              refused("notes.txt"));
  EXPECT_TRUE(fs::exists(folder.At("hf/main.py")));
  EXPECT_TRUE(fs::exists(folder.At("made/notes.txt")));
}

TEST_F(CommandsTest, WhatIsMadeHasTheTokenizerOfItsParents) {
  const std::string a(64, 'a'), b(64, 'b');
  const std::string base = WriteModel(folder.At("base"), DenseSpec(), 1, a);
  const std::string tuned = WriteModel(folder.At("tuned"), DenseSpec(), 2, a);
  const std::string other = WriteModel(folder.At("other"), DenseSpec(), 3, b);
  const std::string old = Dense(4);
  const std::string to = folder.At("to");
  const std::vector<std::vector<std::string>> commands = {
      {"merge", "--base", base, "--add", tuned, "--subtract", old},
      {"merge", "--base", old, "--add", tuned},
      {"ensemble", "--base", base, "--add", tuned, old, "--pool-length", "4"},
      {"upcycle", base, "--experts", "2", "--segment-length", "4"}};
  for (std::vector<std::string> command : commands) {
    command.insert(command.end(), {"--to", to, "--force"});
    ASSERT_OK(Say(command)) << command[0];
    EXPECT_EQ(LoadCheckpoint(to)->manifest.tokenizer_sha256, a) << command[0];
  }
  EXPECT_THAT(Say({"inspect", to})->text, HasSubstr(a));
  const auto refused = StatusIs(
      absl::StatusCode::kFailedPrecondition,
      AllOf(HasSubstr(other + " has"), HasSubstr(a.substr(0, 12) + "..."),
            HasSubstr(tuned + " has"), HasSubstr(b.substr(0, 12) + "...")));
  for (const char* verb : {"merge", "ensemble"}) {
    EXPECT_THAT(Say({verb, "--base", old, "--add", tuned, other, "--to",
                     folder.At("x")}),
                refused);
  }
  EXPECT_FALSE(fs::exists(folder.At("x")));
}

TEST_F(CommandsTest, AnImportTakesNoteOfTheTokenizerBesideTheModel) {
  const std::string hf = folder.At("hf");
  ASSERT_OK(Say({"export", Dense(1), "--to", hf}));
  ASSERT_OK(Say({"import", hf, "--to", folder.At("a")}));
  EXPECT_EQ(LoadCheckpoint(folder.At("a"))->manifest.tokenizer_sha256, "");
  folder.Write("hf/tokenizer.json", "{}");
  // Also of one that cannot be read here, which is said.
  LORY_ASSERT_OK_AND_ASSIGN(const Answer answer,
                            Say({"import", hf, "--to", folder.At("b")}));
  EXPECT_THAT(answer.text, AllOf(HasSubstr("no dataset can be made"),
                                 HasSubstr(hf + "/tokenizer.json")));
  EXPECT_EQ(LoadCheckpoint(folder.At("b"))->manifest.tokenizer_sha256,
            Sha256Hex("{}"));
}

// There and back the tokenizer is known still, though its files are not there.
TEST_F(CommandsTest, AnExportWithoutATokenizerSaysWhichItHad) {
  const std::string a(64, 'a'), hf = folder.At("hf"), back = folder.At("back");
  const std::string model = WriteModel(folder.At("m"), DenseSpec(), 1, a);
  LORY_ASSERT_OK_AND_ASSIGN(const Answer answer,
                            Say({"export", model, "--to", hf}));
  EXPECT_THAT(answer.text, HasSubstr("config.json has its SHA-256"));
  ASSERT_OK(Say({"import", hf, "--to", back}));
  EXPECT_EQ(LoadCheckpoint(back)->manifest.tokenizer_sha256, a);
  // A file beside the model is what counts.
  folder.Write("hf/tokenizer.json", "{}");
  ASSERT_OK(Say({"import", hf, "--to", back, "--force"}));
  EXPECT_EQ(LoadCheckpoint(back)->manifest.tokenizer_sha256, Sha256Hex("{}"));
  // Who saved it again may have changed its ids.
  fs::remove(folder.At("hf/tokenizer.json"));
  LORY_ASSERT_OK_AND_ASSIGN(
      std::string config,
      lory::io::LocalStorage().Read(folder.At("hf/config.json")));
  config.replace(config.find('{'), 1, "{\"transformers_version\": \"5\",");
  folder.Write("hf/config.json", config);
  ASSERT_OK(Say({"import", hf, "--to", back, "--force"}));
  EXPECT_EQ(LoadCheckpoint(back)->manifest.tokenizer_sha256, "");
}

TEST_F(CommandsTest, AnImportSaysWhetherItsTokenizerFits) {
  const std::string data = lory::eval::WriteByteDataset(folder);
  for (const bool fits : {true, false}) {
    const auto spec = fits ? lory::eval::OfBytes(DenseSpec()) : DenseSpec();
    const std::string at = folder.At(absl::StrCat("model-", fits));
    ASSERT_OK(Say({"export", WriteModel(at, spec), "--to", at + "-hf"}));
    fs::copy_file(data + "/tokenizer.json", at + "-hf/tokenizer.json");
    LORY_ASSERT_OK_AND_ASSIGN(const Answer answer,
                              Say({"import", at + "-hf", "--to", at + "-b"}));
    EXPECT_THAT(answer.text,
                fits ? Matcher<std::string>(Not(HasSubstr("tokenizer")))
                     : HasSubstr("its tokenizer cannot be used with it"));
  }
}

TEST_F(CommandsTest, AVocabularyThatWasFilledUpIsExportedWithItsTokenizer) {
  const std::string data = lory::eval::WriteByteDataset(folder);
  auto spec = lory::eval::OfBytes(DenseSpec());
  spec.set_vocabulary_size(272);
  ASSERT_OK(Say(
      {"export", WriteModel(folder.At("m"), spec), "--to", folder.At("hf")}));
  fs::copy_file(data + "/tokenizer.json", folder.At("hf/tokenizer.json"));
  const std::string at = folder.At("ours");
  LORY_ASSERT_OK_AND_ASSIGN(const Answer answer,
                            Say({"import", folder.At("hf"), "--to", at}));
  EXPECT_THAT(answer.text,
              HasSubstr("it can be served and exported with its tokenizer"));
  EXPECT_OK(Say({"export", at, "--to", folder.At("back"), "--tokenizer",
                 folder.At("hf")}));
  EXPECT_OK(
      Say({"logits", at, "--text", "ab", "--tokenizer", data, "--top", "272"}));
  EXPECT_OK(Say({"logits", at, "--tokens", "271,3"}));
  EXPECT_THAT(
      Say({"logits", folder.At("m"), "--text", "ab", "--tokenizer", data}),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr("a vocabulary of 257, the model's is 272")));
}

TEST_F(CommandsTest, ALlamaWithItsTokenizerIsImportedAskedAndExported) {
  auto spec = DenseSpec();
  spec.set_vocabulary_size(267);
  const std::string hf = folder.At("llama-hf");
  ASSERT_OK(Say({"export", WriteModel(folder.At("llama"), spec), "--to", hf}));
  const std::string bytes = testing::SentencePieceFile().Bytes();
  folder.Write("llama-hf/tokenizer.model", bytes);
  const std::string at = folder.At("imported");
  LORY_ASSERT_OK_AND_ASSIGN(const Answer answer,
                            Say({"import", hf, "--to", at}));
  EXPECT_THAT(answer.text, Not(HasSubstr("cannot be used")));
  EXPECT_EQ(LoadCheckpoint(at)->manifest.tokenizer_sha256, Sha256Hex(bytes));
  EXPECT_THAT(Say({"logits", at, "--text", "a b", "--tokenizer", hf})->text,
              HasSubstr("\""));
  LORY_ASSERT_OK_AND_ASSIGN(
      const Answer exported,
      Say({"export", at, "--to", folder.At("again"), "--tokenizer", hf}));
  EXPECT_THAT(exported.text,
              AllOf(HasSubstr("the model has user-defined symbols"),
                    HasSubstr("transformers' LlamaTokenizer may")));
  EXPECT_FALSE(fs::exists(folder.At("again/tokenizer.json")));
  EXPECT_EQ(*lory::io::LocalStorage().Read(folder.At("again/tokenizer.model")),
            bytes);
}

TEST_F(CommandsTest, ATokenizerThatIsNotTheModelsIsRefused) {
  const std::string data = lory::eval::WriteByteDataset(folder);
  const std::string model =
      WriteModel(folder.At("model"), lory::eval::OfBytes(DenseSpec()), 1,
                 std::string(64, 'a'));
  const auto refused = StatusIs(
      absl::StatusCode::kFailedPrecondition,
      AllOf(HasSubstr(data + "/tokenizer.json"), HasSubstr("aaaaaaaaaaaa...")));
  EXPECT_THAT(
      Say({"export", model, "--to", folder.At("x"), "--tokenizer", data}),
      refused);
  EXPECT_THAT(Say({"logits", model, "--text", "a", "--tokenizer", data}),
              refused);
  EXPECT_FALSE(fs::exists(folder.At("x")));
}

TEST_F(CommandsTest, LogitsAreShownOrWritten) {
  const std::string dense = Dense(1);
  LORY_ASSERT_OK_AND_ASSIGN(
      const Answer shown,
      Say({"logits", dense, "--tokens", "1,2,3", "--top", "2"}));
  EXPECT_THAT(shown.text, HasSubstr("probability"));
  ASSERT_OK(Say({"logits", dense, "--tokens", "1,2,3", "--to",
                 folder.At("logits.safetensors")}));
  EXPECT_TRUE(fs::exists(folder.At("logits.safetensors")));
  const std::string notes = folder.Write("notes.txt", "good");
  EXPECT_THAT(Say({"logits", dense, "--tokens", "1", "--to", notes}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("--force")));
  ASSERT_OK(Say({"logits", dense, "--tokens", "1", "--to", notes, "--force"}));
  for (const char* tokens : {"", "1,,2", ",1", "1,", "1,x", "1.5"}) {
    EXPECT_THAT(
        Say({"logits", dense, "--tokens", tokens}),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--tokens")))
        << tokens;
  }
  EXPECT_THAT(
      Say({"logits", dense, "--text", "words"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--tokenizer")));
}

}  // namespace
}  // namespace lory::surgery
