#include "tools/model/merge_command.h"

#include <cmath>
#include <filesystem>

#include "absl/strings/str_format.h"
#include "common/data/dataset.h"
#include "tests/unit/tools/model/eval/eval_data.h"
#include "tests/unit/tools/model/models.h"
#include "tools/model/eval/variant_facts.h"
#include "tools/model/scale_search.h"

namespace lory::surgery {
namespace {

using ::lory::eval::OfBytes;
using ::lory::model::DenseSpec;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

struct MergeCommandTest : ::testing::Test {
  std::string Model(uint64_t seed) {
    return WriteModel(folder.At("model-" + std::to_string(seed)),
                      OfBytes(DenseSpec()), seed);
  }

  absl::StatusOr<std::string> Run(std::vector<std::string> arguments) {
    CLI::App app;
    MergeFlags flags;
    AddMergeOptions(app, flags);
    arguments.insert(arguments.end(), {"--to", folder.At("merged"), "--force"});
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      return absl::InvalidArgumentError(error.what());
    }
    return RunMerge(flags);
  }

  // Loss of `model` on a held-out domain, by all logits, from position `first`
  // of each sequence on.
  double LossOn(const lory::model::Transformer& model, int domain,
                size_t first = 0) {
    const auto dataset =
        *lory::data::Dataset::Open(data + "/manifest.json", false);
    double sum = 0, count = 0;
    for (int64_t i = 0; i < dataset->held_out_count(domain); ++i) {
      std::vector<int64_t> tokens(lory::model::kLength + 1);
      EXPECT_OK(dataset->ReadHeldOut(domain, i, tokens));
      const auto logs = lory::eval::LogProbabilities(model, tokens);
      for (size_t at = first; at < logs.size(); ++at) {
        sum -= logs[at];
        ++count;
      }
    }
    return sum / count;
  }

  // Numbers of a model, in double.
  at::Tensor Flat(const std::string& path) {
    return Load(path)->parameters().flat_values().to(at::kDouble);
  }

  const lory::model::SingleThread single_thread;
  const TemporaryFolder folder;
  const std::string data = lory::eval::WriteByteDataset(folder);
};

TEST(ParseScales, GivesBothEnds) {
  EXPECT_THAT(*ParseScales("0:1:0.25"), ElementsAre(0, 0.25, 0.5, 0.75, 1));
  EXPECT_EQ(ParseScales("0:0.3:0.1")->size(), 4u);
  for (const char* wrong : {"", "1", "0:1", "1:0:0.1", "0:1:0", "0:1:-1",
                            "0:1:x", "0:inf:1", "nan:1:1", "0:1:1e-9"}) {
    EXPECT_THAT(ParseScales(wrong), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("--search")))
        << wrong;
  }
}

TEST(ParseScales, SaysWhatIsWrongWithARange) {
  for (const auto& [text, why] :
       {std::pair("0:1", "not three numbers"),
        std::pair("1:0:0.1", "LOW is not below HIGH"),
        std::pair("0.3:0.3:0.1", "LOW is not below HIGH"),
        std::pair("0:1:0", "STEP is not above 0"),
        std::pair("0:1:x", "\"x\" is no finite number")}) {
    EXPECT_THAT(ParseScales(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  }
}

ScaleChoice Chosen(double scale, bool has_tolerance = false) {
  return {.base_loss = 3,
          .trials = {{-1, 2.5}, {0, 3}, {1, 2}, {2, 3.5}, {3, 2.25}},
          .scale = scale,
          .has_tolerance = has_tolerance};
}

TEST(ScaleChoice, SaysWhatIsOddAboutIt) {
  EXPECT_THAT(ToText(Chosen(1)), Not(HasSubstr("scale tried")));
  EXPECT_THAT(ToText(Chosen(1)), EndsWith("3    2.2500\n"));
  EXPECT_THAT(ToText(Chosen(0)), HasSubstr("the base itself"));
  EXPECT_THAT(ToText(Chosen(-1)), HasSubstr("the lowest scale tried"));
  EXPECT_THAT(ToText(Chosen(3)), HasSubstr("the highest scale tried"));
  EXPECT_THAT(ToText(Chosen(2)), HasSubstr("better than the base"));
  EXPECT_THAT(ToText(Chosen(3, true)), HasSubstr("within the tolerance"));
  EXPECT_THAT(ToText(Chosen(2, true)), EndsWith("3    2.2500\n"));
}

TEST_F(MergeCommandTest, AveragesInPlaceOfAdding) {
  const std::string base = Model(1), a = Model(2), b = Model(3);
  ASSERT_OK(
      Run({"--base", base, "--subtract", a, b, "--average", "--scale", "0.5"}));
  const at::Tensor expected =
      Flat(base) - 0.5 * ((Flat(a) + Flat(b)) / 2 - Flat(base));
  EXPECT_TRUE(at::allclose(Flat(folder.At("merged")), expected, 1e-6, 1e-7));
}

TEST_F(MergeCommandTest, SearchTakesTheScaleOfTheLowestLoss) {
  const std::string base = Model(1), tuned = Model(2);
  LORY_ASSERT_OK_AND_ASSIGN(const std::string said,
                            Run({"--base", base, "--add", tuned, "--search",
                                 "-1:2:0.5", "--data", data}));
  // The domain that was kept out of training does not count.
  double best_scale = 0, best = 1e9;
  for (const double scale : {-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0}) {
    const auto model = Load(base);
    at::NoGradGuard no_grad;
    model->parameters().flat_values().copy_(Flat(base) +
                                            scale * (Flat(tuned) - Flat(base)));
    const double loss = LossOn(*model, 0);
    if (loss < best) best = loss, best_scale = scale;
  }
  const at::Tensor expected =
      Flat(base) + best_scale * (Flat(tuned) - Flat(base));
  EXPECT_TRUE(at::allclose(Flat(folder.At("merged")), expected, 1e-6, 1e-7));
  EXPECT_THAT(said, HasSubstr(absl::StrFormat("%.4f  <-", best)));
}

TEST_F(MergeCommandTest, SearchLeavesOutPositionsThatSeeEachOther) {
  const auto spec = OfBytes(lory::model::LorySpec());
  const std::string base = WriteModel(folder.At("a"), spec, 1);
  const std::string tuned = WriteModel(folder.At("b"), spec, 2);
  LORY_ASSERT_OK_AND_ASSIGN(const std::string said,
                            Run({"--base", base, "--add", tuned, "--search",
                                 "0:1:0.5", "--data", data}));
  const auto model = Load(base);
  const int64_t leak = lory::eval::FactsOf(model->shape()).leak_length;
  ASSERT_GT(leak, 0);
  const std::string expected =
      absl::StrFormat("%.4f", LossOn(*model, 0, static_cast<size_t>(leak)));
  EXPECT_NE(expected, absl::StrFormat("%.4f", LossOn(*model, 0)));
  EXPECT_THAT(said,
              AllOf(HasSubstr(absl::StrFormat("without the first %d ", leak)),
                    HasSubstr("    base    " + expected)));
}

TEST_F(MergeCommandTest, SearchIsOnTokensOfTheModelsTokenizer) {
  const std::string base =
      WriteModel(folder.At("a"), OfBytes(DenseSpec()), 1, std::string(64, 'a'));
  EXPECT_THAT(Run({"--base", base, "--add", Model(2), "--search", "0:1:0.5",
                   "--data", data}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(data), HasSubstr("aaaaaaaaaaaa..."))));
}

TEST_F(MergeCommandTest, SearchSaysThatAModelIsNotCausal) {
  auto spec = OfBytes(DenseSpec());
  auto* options = spec.mutable_feed_forward()->mutable_soft_moe();
  options->set_expert_count(3);
  options->set_slots_per_expert(2);
  options->set_allow_noncausal(true);
  EXPECT_THAT(*Run({"--base", WriteModel(folder.At("a"), spec, 1), "--add",
                    WriteModel(folder.At("b"), spec, 2), "--search", "0:1:0.5",
                    "--data", data}),
              HasSubstr("not causal"));
}

TEST_F(MergeCommandTest, SearchTakesNoScaleOfABrokenModel) {
  const auto broken = lory::model::MakeModel(OfBytes(DenseSpec()), 2);
  {
    at::NoGradGuard no_grad;
    broken->parameters().flat_values().fill_(NAN);
  }
  ASSERT_OK(WriteCheckpoint(*broken, {.job = "jobs/test", .note = "test"},
                            folder.At("broken"), /*force=*/false));
  const std::string base = Model(1);
  for (const bool tolerant : {false, true}) {
    std::vector<std::string> arguments = {
        "--base",   base,        "--add",  folder.At("broken"),
        "--search", "0.5:1:0.5", "--data", data};
    if (tolerant) arguments.insert(arguments.end(), {"--tolerance", "1"});
    EXPECT_THAT(Run(arguments), StatusIs(absl::StatusCode::kFailedPrecondition,
                                         AllOf(HasSubstr("at no scale"),
                                               Not(HasSubstr("--tolerance")))));
  }
}

TEST_F(MergeCommandTest, WhatTheCommandLineGetsWrongIsToldBeforeTheWork) {
  const std::vector<std::string> none = {"--base", "none", "--add",   "none",
                                         "--data", data,   "--search"};
  const auto run = [&](const char* scales) {
    std::vector<std::string> arguments = none;
    arguments.emplace_back(scales);
    return Run(arguments);
  };
  EXPECT_THAT(run("0:1:0.5"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(run("0:1"), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("LOW:HIGH:STEP")));
  folder.Write("merged/notes.txt", "mine");
  EXPECT_THAT(run("0:1:0.5"), StatusIs(absl::StatusCode::kAlreadyExists,
                                       HasSubstr("not even --force")));
}

TEST_F(MergeCommandTest, ToleranceTakesTheLargestScaleThatDoesNoHarm) {
  const std::string base = Model(1), tuned = Model(2);
  const std::vector<std::string> wide = {
      "--base", base, "--subtract", tuned,    "--search",    "0:4:1",
      "--data", data, "--domains",  "unseen", "--tolerance", "100"};
  ASSERT_OK(Run(wide));
  EXPECT_TRUE(at::allclose(Flat(folder.At("merged")),
                           Flat(base) - 4 * (Flat(tuned) - Flat(base)), 1e-6,
                           1e-6));
  // Not even the smallest: the base itself is not among them.
  EXPECT_THAT(Run({"--base", base, "--subtract", tuned, "--search", "3:4:1",
                   "--data", data, "--tolerance", "0"}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("within --tolerance")));
}

TEST_F(MergeCommandTest, SaysWhatDoesNotGoTogether) {
  const std::string base = Model(1), tuned = Model(2);
  const auto refused = [&](std::vector<std::string> more, const char* why) {
    more.insert(more.begin(), {"--base", base, "--add", tuned});
    EXPECT_THAT(Run(more),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  refused({"--search", "0:1:0.5"}, "go together");
  refused({"--data", data}, "go together");
  // What is malformed is told first.
  refused({"--search", "0:1:0"}, "0:1:0");
  refused({"--search", "0:1:0.5", "--scale", "1", "--data", data}, "--scale");
  refused({"--search", "0:1:0.5", "--data", data, "--domains", "news"},
          "there are seen, unseen");
  refused({"--tolerance", "0.1"}, "--search");
  refused({"--domains", "seen"}, "--search");
  refused({"--sequences", "2"}, "--search");
  refused({"--search", "0:1:0.5", "--data", data, "--tolerance", "-1"},
          "--tolerance is -1");
  EXPECT_FALSE(std::filesystem::exists(folder.At("merged")));
}

}  // namespace
}  // namespace lory::surgery
