#include "tools/model/eval_command.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/io/storage.h"
#include "tests/unit/tools/model/eval/eval_data.h"
#include "tests/unit/tools/model/models.h"
#include "tools/model/eval/evaluate.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;
using ::lory::eval::OfBytes;
using ::lory::model::DenseSpec;
using ::lory::model::LorySpec;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kItems[] =
    "{\"context\":\"ab\",\"choices\":[\"c\",\"de\"],\"answer\":0}\n"
    "{\"context\":\"b \",\"choices\":[\"c\",\"de\"],\"answer\":1}\n";

struct EvalCommandTest : ::testing::Test {
  std::string Model(const std::string& name, const lory::v1::ModelSpec& spec) {
    return WriteModel(folder.At(name), spec);
  }

  absl::StatusOr<std::string> Run(std::vector<std::string> arguments) {
    CLI::App app;
    EvalFlags flags;
    AddEvalOptions(app, flags);
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      return absl::InvalidArgumentError(error.what());
    }
    return RunEval(flags);
  }

  void ExpectRefused(const std::vector<std::string>& arguments,
                     absl::StatusCode code,
                     const ::testing::Matcher<std::string>& why) {
    EXPECT_THAT(Run(arguments), StatusIs(code, why))
        << ::testing::PrintToString(arguments);
  }

  const lory::model::SingleThread single_thread;
  const TemporaryFolder folder;
  const std::string data = lory::eval::WriteByteDataset(folder);
};

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnfit = absl::StatusCode::kFailedPrecondition;

TEST_F(EvalCommandTest, WritesAllThatItFindsOrNothing) {
  const std::string model = Model("lory", OfBytes(LorySpec()));
  const std::string tasks = folder.Write("pairs.jsonl", kItems);
  const std::string text = folder.Write("notes.txt", "a text of some bytes");
  const std::string to = folder.At("out");
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string said,
      Run({model, "--data", data, "--text", text, "--window", "8", "--stride",
           "4", "--tasks", tasks, "-o", "json", "--to", to}));
  const auto json = nlohmann::json::parse(said);
  EXPECT_EQ(json["dataset"], "bytes");
  ASSERT_EQ(json["texts"].size(), 3u);
  EXPECT_EQ(json["texts"][1]["name"], "unseen");
  EXPECT_EQ(json["texts"][1]["kept_out"], true);
  EXPECT_EQ(json["texts"][2]["name"], "notes.txt");
  EXPECT_EQ(json["texts"][2]["all"]["tokens"], 20);  // from the first byte on
  EXPECT_EQ(json["texts"][2]["stride"], 4);
  EXPECT_GT(json["texts"][2]["all"]["bits_per_byte"], 0);
  ASSERT_EQ(json["tasks"].size(), 2u);
  EXPECT_EQ(json["tasks"][0]["inference"], "prompt");
  EXPECT_EQ(json["tasks"][1]["inference"], "segment");
  EXPECT_EQ(json["tasks"][1]["task"], "pairs");
  for (const char* name :
       {"evaluation.json", "domains.csv", "routing.csv", "specialisation.csv",
        "specialisation.svg", "tasks.csv", "items.jsonl"}) {
    EXPECT_TRUE(fs::exists(to + "/" + name)) << name;
  }
  EXPECT_FALSE(fs::exists(to + "/tokens.csv"));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string items,
                            lory::io::LocalStorage().Read(to + "/items.jsonl"));
  const auto first = nlohmann::json::parse(items.substr(0, items.find('\n')));
  EXPECT_EQ(first["line"], 1);
  EXPECT_EQ(first["log_likelihoods"].size(), 2u);

  ExpectRefused({model, "--data", data, "--to", to},
                absl::StatusCode::kAlreadyExists, HasSubstr("--force"));
  ASSERT_OK(Run({model, "--data", data, "--to", to, "--force"}));
  EXPECT_FALSE(fs::exists(to + "/items.jsonl"));
  ExpectRefused({model, "--data", data, "--to", data, "--force"},
                absl::StatusCode::kAlreadyExists, HasSubstr("not even"));
}

TEST_F(EvalCommandTest, PerplexityOfADatasetIsThatOfItsSequences) {
  const std::string path = Model("dense", OfBytes(DenseSpec()));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string said,
                            Run({path, "--data", data + "/manifest.json",
                                 "--first-segment", "4", "-o", "json"}));
  const auto json = nlohmann::json::parse(said);
  const auto model = Load(path);
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto dataset,
      lory::data::Dataset::Open(data + "/manifest.json", false));
  double all = 0, rest = 0;
  for (int64_t i = 0; i < 5; ++i) {
    std::vector<int64_t> tokens(lory::model::kLength + 1);
    ASSERT_OK(dataset->ReadHeldOut(0, i, tokens));
    const auto found = lory::eval::LogProbabilities(*model, tokens);
    for (size_t at = 0; at < found.size(); ++at) {
      all -= found[at];
      if (at >= 4) rest -= found[at];
    }
  }
  const auto& seen = json["texts"][0];
  EXPECT_EQ(seen["all"]["tokens"], 60);
  EXPECT_EQ(seen["rest"]["tokens"], 40);
  EXPECT_NEAR(seen["all"]["loss"], all / 60, 1e-5);
  EXPECT_NEAR(seen["rest"]["loss"], rest / 40, 1e-5);
  EXPECT_EQ(json["totals"][0]["all"], seen["all"]);
}

TEST_F(EvalCommandTest, LeavesOutTheModelsOwnSegmentUnlessTold) {
  const auto first = [&](const std::vector<std::string>& arguments) -> int64_t {
    auto said = Run(arguments);
    EXPECT_OK(said);
    return nlohmann::json::parse(*said)["first_segment"];
  };
  const std::string strict =
      Model("strict", OfBytes(LorySpec(lory::v1::LoryFeedForward::UNIFORM)));
  EXPECT_EQ(first({strict, "--data", data, "-o", "json"}), 4);
  EXPECT_EQ(
      first({strict, "--data", data, "-o", "json", "--first-segment", "0"}), 0);
  const std::string dense = Model("dense", OfBytes(DenseSpec()));
  EXPECT_EQ(first({dense, "--data", data, "-o", "json"}), 0);
}

TEST_F(EvalCommandTest, DomainsThatWereKeptOutCanBeNamed) {
  const std::string model = Model("dense", OfBytes(DenseSpec()));
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string said,
      Run({model, "--data", data, "--kept-out", "seen", "-o", "json"}));
  EXPECT_EQ(nlohmann::json::parse(said)["texts"][0]["kept_out"], true);
  ExpectRefused({model, "--data", data, "--kept-out", "sene"}, kInvalid,
                HasSubstr("there are seen, unseen"));
}

TEST_F(EvalCommandTest, SaysWhatIsWrongBeforeItMeasures) {
  const std::string model = Model("lory", OfBytes(LorySpec()));
  const std::string other = Model("other", LorySpec());
  const std::string text = folder.Write("notes.txt", "a text");
  ExpectRefused({model}, kInvalid, HasSubstr("--data"));
  ExpectRefused({folder.At("none"), "--data", data},
                absl::StatusCode::kNotFound, HasSubstr("none"));
  ExpectRefused({model, "--data", folder.At("none")},
                absl::StatusCode::kNotFound, HasSubstr("none"));
  ExpectRefused({other, "--data", data}, kUnfit,
                AllOf(HasSubstr("257"), HasSubstr("19")));
  ExpectRefused({other, "--text", text, "--tokenizer", data}, kUnfit,
                HasSubstr("tokenizer.json"));
  auto brief = OfBytes(DenseSpec());
  brief.set_sequence_length(8);
  ExpectRefused({Model("brief", brief), "--data", data}, kUnfit,
                AllOf(HasSubstr("sequences of 12"), HasSubstr("reads 8")));
  ExpectRefused({model, "--text", text}, kInvalid, HasSubstr("--tokenizer"));
  ExpectRefused({model, "--text", folder.At("none"), "--tokenizer", data},
                absl::StatusCode::kNotFound, HasSubstr("none"));
  ExpectRefused(
      {model, "--text", folder.Write("empty", ""), "--tokenizer", data},
      kInvalid, AllOf(HasSubstr("empty"), HasSubstr("too short")));
  ExpectRefused({model, "--data", data, "--window", "8"}, kInvalid,
                HasSubstr("--text"));
  ExpectRefused({model, "--data", data, "--text", text, "--window", "13"},
                kInvalid, HasSubstr("1 to 12"));
  ExpectRefused(
      {model, "--data", data, "--text", text, "--window", "8", "--stride", "9"},
      kInvalid, HasSubstr("--stride"));
  ExpectRefused({model, "--data", data, "--first-segment", "12"}, kInvalid,
                AllOf(HasSubstr("--first-segment"), HasSubstr("seen")));
  ExpectRefused({model, "--data", data, "--inference", "token"}, kInvalid,
                HasSubstr("inference"));
  ExpectRefused({model, "--data", data, "--inference", "prompt"}, kInvalid,
                HasSubstr("--inference is of --tasks"));
  const std::string tasks = folder.Write("pairs.jsonl", kItems);
  ExpectRefused({Model("dense", OfBytes(DenseSpec())), "--data", data,
                 "--tasks", tasks, "--inference", "both"},
                kInvalid, HasSubstr("--inference is of Lory models"));
  ExpectRefused({model, "--data", data, "--to", ""}, kInvalid,
                HasSubstr("the path is empty"));
  ExpectRefused({model, "--data", data, "--sequences", "-1"}, kInvalid,
                HasSubstr("--sequences: -1 is not a number from 0 on"));
  ExpectRefused({model, "--data", model}, kInvalid,
                HasSubstr("a checkpoint, and no dataset"));
  ExpectRefused({data, "--data", data}, kInvalid,
                HasSubstr("a dataset, and no checkpoint"));
}

TEST_F(EvalCommandTest, WhatWouldCountTwiceIsRefused) {
  const std::string model = Model("dense", OfBytes(DenseSpec()));
  const std::string text = folder.Write("notes.txt", "a text of some bytes");
  const std::string tasks = folder.Write("pairs.jsonl", kItems);
  const std::string again = folder.At("data/../notes.txt");
  ExpectRefused({model, "--tokenizer", data, "--text", text, again}, kInvalid,
                AllOf(HasSubstr("--text"), HasSubstr(text), HasSubstr(again),
                      HasSubstr("is given twice")));
  ExpectRefused({model, "--tokenizer", data, "--tasks", tasks, tasks}, kInvalid,
                AllOf(HasSubstr("--tasks"), HasSubstr("is given twice")));
  // The same words in two files are two texts, and told apart.
  const std::string copy = folder.Write("b/notes.txt", "a text of some bytes");
  const std::string third = folder.Write("third.txt", "more");
  LORY_ASSERT_OK_AND_ASSIGN(const std::string said,
                            Run({model, "--tokenizer", data, "--text", text,
                                 copy, third, "-o", "json"}));
  const auto texts = nlohmann::json::parse(said)["texts"];
  EXPECT_EQ(texts[0]["name"], text);
  EXPECT_EQ(texts[1]["name"], copy);
  EXPECT_EQ(texts[2]["name"], "third.txt");
}

TEST_F(EvalCommandTest, AFileOfADomainsNameIsToldApartFromIt) {
  const std::string model = Model("dense", OfBytes(DenseSpec()));
  const std::string text = folder.Write("seen", "a text of some bytes");
  const auto names = [&](const std::string& path) {
    const auto said =
        Run({model, "--data", data, "--text", path, "-o", "json"});
    EXPECT_OK(said);
    std::vector<std::string> all;
    const auto json = nlohmann::json::parse(*said);
    for (const auto& each : json["texts"]) {
      all.push_back(each["name"]);
    }
    return all;
  };
  EXPECT_THAT(names(text), ElementsAre("seen", "unseen", text));
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  EXPECT_THAT(names("seen"), ElementsAre("seen", "unseen", "./seen"));
  fs::current_path(before);
}

TEST_F(EvalCommandTest, TasksOfFilesOfOneNameAreToldApart) {
  const std::string model = Model("dense", OfBytes(DenseSpec()));
  const std::string a = folder.Write("a/pairs.jsonl", kItems);
  const std::string b = folder.Write("b/pairs.jsonl", kItems);
  const std::string c = folder.Write("c.jsonl", kItems);
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string said,
      Run({model, "--tokenizer", data, "--tasks", a, b, c, "-o", "json"}));
  std::vector<std::string> names;
  const auto json = nlohmann::json::parse(said);
  for (const auto& task : json["tasks"]) names.push_back(task["task"]);
  EXPECT_THAT(names, ElementsAre(a, b, "c"));
}

TEST_F(EvalCommandTest, OneItemHasNoErrorOfItsMean) {
  const std::string model = Model("dense", OfBytes(DenseSpec()));
  const std::string tasks =
      folder.Write("one.jsonl",
                   "{\"context\":\"ab\",\"choices\":[\"c\",\"de\"],"
                   "\"answer\":0}\n");
  const std::string to = folder.At("out");
  const std::vector<std::string> arguments = {model, "--tokenizer", data,
                                              "--tasks", tasks};
  EXPECT_THAT(*Run(arguments), HasSubstr("00 +-     -"));
  std::vector<std::string> as_json = arguments;
  as_json.insert(as_json.end(), {"-o", "json", "--to", to});
  const auto raw = nlohmann::json::parse(*Run(as_json))["tasks"][0]["raw"];
  EXPECT_TRUE(raw.contains("accuracy"));
  EXPECT_FALSE(raw.contains("error"));
  EXPECT_THAT(
      *lory::io::LocalStorage().Read(to + "/tasks.csv"),
      ::testing::MatchesRegex("task.*\none,,1,0.5,[01],,[01],,[01],\n"));
}

TEST_F(EvalCommandTest, HeldOutTextThatWasAlteredIsNotBelieved) {
  const std::string model = Model("dense", OfBytes(DenseSpec()));
  const std::string file = data + "/held-out-seen.bin";
  LORY_ASSERT_OK_AND_ASSIGN(std::string bytes,
                            lory::io::LocalStorage().Read(file));
  std::fill(bytes.begin(), bytes.end(), '\1');
  folder.Write("data/held-out-seen.bin", bytes);
  ExpectRefused({model, "--data", data}, absl::StatusCode::kDataLoss,
                AllOf(HasSubstr(file), HasSubstr("altered")));
}

TEST_F(EvalCommandTest, TokensOfAnotherTokenizerAreRefused) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string json,
      lory::io::LocalStorage().Read(data + "/tokenizer.json"));
  const auto spec = OfBytes(DenseSpec());
  const std::string model =
      WriteModel(folder.At("known"), spec, 1, Sha256Hex(json));
  const std::string other =
      WriteModel(folder.At("other"), spec, 1, std::string(64, 'a'));
  const std::string old = Model("old", spec);
  const std::string text = folder.Write("notes.txt", "a text of some bytes");
  ASSERT_OK(Run({model, "--data", data, "--text", text}));
  const auto both =
      AllOf(HasSubstr(Sha256Hex(json).substr(0, 12)), HasSubstr("aaaaaaaaaa"));
  ExpectRefused({other, "--data", data}, kUnfit,
                AllOf(both, HasSubstr("manifest.json")));
  ExpectRefused({other, "--text", text, "--tokenizer", data}, kUnfit,
                AllOf(both, HasSubstr("tokenizer.json")));
  // A file that is not the one which the dataset's tokens are of.
  folder.Write("data/tokenizer.json", json + "\n");
  const std::string now = Sha256Hex(json + "\n").substr(0, 12);
  ExpectRefused({model, "--data", data}, kUnfit,
                AllOf(HasSubstr(now), HasSubstr("the model has")));
  ExpectRefused({old, "--data", data}, kUnfit,
                AllOf(HasSubstr(now), HasSubstr("the dataset has")));
}

TEST_F(EvalCommandTest, ABrokenModelAnswersNothing) {
  const auto model = lory::model::MakeModel(OfBytes(DenseSpec()));
  {
    at::NoGradGuard no_grad;
    model->parameters().flat_values().fill_(NAN);
  }
  const std::string path = folder.At("broken");
  ASSERT_OK(WriteCheckpoint(*model, {.job = "jobs/test", .note = "test"}, path,
                            /*force=*/false));
  const std::string tasks = folder.Write("pairs.jsonl", kItems);
  LORY_ASSERT_OK_AND_ASSIGN(const std::string said,
                            Run({path, "--tokenizer", data, "--tasks", tasks}));
  EXPECT_THAT(said, HasSubstr("2 of these 2 items have no finite score"));
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string json,
      Run({path, "--tokenizer", data, "--tasks", tasks, "-o", "json"}));
  const auto task = nlohmann::json::parse(json)["tasks"][0];
  EXPECT_EQ(task["unscored"], 2);
  EXPECT_EQ(task["raw"]["accuracy"], 0);
}

TEST_F(EvalCommandTest, NamesTheLineOfATaskThatIsWrong) {
  const std::string model = Model("lory", OfBytes(LorySpec()));
  ExpectRefused({model, "--data", data, "--tasks", folder.At("none.jsonl")},
                absl::StatusCode::kNotFound, HasSubstr("none.jsonl"));
  ExpectRefused({model, "--tasks", folder.Write("pairs.jsonl", kItems)},
                kInvalid, HasSubstr("--tokenizer"));
  const std::string broken =
      folder.Write("broken.jsonl", std::string(kItems) + "no\n");
  ExpectRefused({model, "--data", data, "--tasks", broken}, kInvalid,
                HasSubstr("broken.jsonl:3"));
  const std::string wide =
      folder.Write("wide.jsonl",
                   "{\"context\":\"0123456789\",\"choices\":[\"a\",\"abcd\"],"
                   "\"answer\":0}\n");
  ExpectRefused(
      {model, "--data", data, "--tasks", wide, "--to", folder.At("out")},
      kInvalid, AllOf(HasSubstr("wide.jsonl:1"), HasSubstr("14")));
  EXPECT_FALSE(fs::exists(folder.At("out")));
}

}  // namespace
}  // namespace lory::surgery
