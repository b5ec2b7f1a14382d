#include "common/config/job_file.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/error_detail.h"
#include "common/base/random.h"
#include "common/config/job_validation.h"
#include "common/config/model_shape.h"
#include "common/config/yaml_tree.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::config {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::lory::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

constexpr char kTiny[] = R"(name: tiny
dataset: demo
model:
  preset: tiny
  width: 64
optimizer: {learning_rate: 1e-3}
steps: 400
micro_batches: 4
micro_batch_sequences: 8
checkpoint:
  every: 1m30s
labels:
  owner: "me"
)";

absl::StatusOr<JobFile> Parse(absl::string_view text,
                              std::vector<std::string> overrides = {}) {
  return ParseJobFile(text, "job.yaml", overrides);
}

std::string ErrorOf(absl::string_view text,
                    std::vector<std::string> overrides = {}) {
  return std::string(Parse(text, std::move(overrides)).status().message());
}

TEST(JobFile, ReadsTheShortFormOfAJob) {
  LORY_ASSERT_OK_AND_ASSIGN(const JobFile file, Parse(kTiny));
  EXPECT_EQ(file.name, "tiny");
  EXPECT_EQ(file.spec.dataset(), "datasets/demo");
  EXPECT_EQ(file.spec.step_count(), 400);
  EXPECT_EQ(file.spec.micro_batch_count(), 4);
  EXPECT_EQ(file.spec.optimizer().peak_learning_rate(), 1e-3);
  EXPECT_EQ(file.spec.checkpoint().every().seconds(), 90);
  EXPECT_EQ(file.spec.labels().at("owner"), "me");
}

TEST(JobFile, KeysOverrideThePresetOneByOne) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const JobFile file,
      Parse("model: {width: 64, preset: tiny, feed_forward: {lory: "
            "{expert_count: 16}}}"));
  const auto& model = file.spec.model();
  EXPECT_EQ(model.width(), 64);
  EXPECT_EQ(model.layer_count(), 4);
  EXPECT_EQ(model.feed_forward().lory().expert_count(), 16);
  EXPECT_EQ(model.feed_forward().lory().segment_length(), 32);
}

TEST(JobFile, AnotherVariantReplacesThePresetsOne) {
  for (const char* dense : {"dense: {}", "dense:"}) {
    LORY_ASSERT_OK_AND_ASSIGN(
        const JobFile file,
        Parse(absl::StrCat("model:\n  preset: tiny\n  feed_forward:\n    ",
                           dense)));
    EXPECT_TRUE(file.spec.model().feed_forward().has_dense());
  }
}

TEST(JobFile, EveryVariantReplacesThePresetsOne) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const JobFile file,
      Parse("model: {preset: tiny, feed_forward: {token_choice: "
            "{expert_count: 8, top_k: 2, balance: hf_mixtral, "
            "dense_fraction: none}}}"));
  EXPECT_EQ(file.spec.model().layer_count(), 4);
  const auto& options = file.spec.model().feed_forward().token_choice();
  EXPECT_EQ(options.expert_count(), 8);
  EXPECT_EQ(options.balance(), lory::v1::TokenChoiceFeedForward::HF_MIXTRAL);
  EXPECT_EQ(options.dense_fraction(), -1);
  LORY_ASSERT_OK_AND_ASSIGN(
      const JobFile soft,
      Parse("model: {preset: tiny, feed_forward: {soft_moe: "
            "{expert_count: 8, allow_noncausal: true}}}"));
  EXPECT_TRUE(soft.spec.model().feed_forward().soft_moe().allow_noncausal());
}

TEST(JobFile, AnOverrideBeatsTheFileAndALaterOneTheEarlier) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const JobFile file,
      Parse(kTiny, {"steps=10", "steps=20", "model.preset=small",
                    "spec.model.feed_forward.lory.first_segment=uniform",
                    "name=other", "labels.owner=you", "seed=7"}));
  EXPECT_EQ(file.spec.step_count(), 20);
  EXPECT_EQ(file.spec.model().layer_count(), 8);
  EXPECT_EQ(file.spec.model().width(), 64);
  EXPECT_EQ(file.spec.model().feed_forward().lory().first_segment(),
            lory::v1::LoryFeedForward::UNIFORM);
  EXPECT_EQ(file.name, "other");
  EXPECT_THAT(file.spec.labels(), SizeIs(1));
  EXPECT_EQ(file.spec.labels().at("owner"), "you");
}

TEST(JobFile, NoneAndZeroSwitchOffWhatHasADefault) {
  for (const char* off : {"none", "0", "0.0"}) {
    LORY_ASSERT_OK_AND_ASSIGN(
        const JobFile file,
        Parse(absl::StrCat("optimizer: {weight_decay: ", off, "}")));
    EXPECT_LT(file.spec.optimizer().weight_decay(), 0) << off;
  }
}

TEST(JobFile, AZeroThatWouldBecomeADefaultIsRefused) {
  EXPECT_EQ(ErrorOf("optimizer:\n  warmup_fraction: 0"),
            "job.yaml:2: optimizer.warmup_fraction: 0 stands for the "
            "default; leave warmup_fraction out for that, or write another "
            "value");
}

TEST(JobFile, AnUnknownKeyIsNamedWithItsLineAndTheNearestOne) {
  EXPECT_EQ(ErrorOf("name: a\nmodel:\n  segment_lenght: 32\n"),
            "job.yaml:3: model.segment_lenght: unknown key; did you mean "
            "feed_forward.lory.segment_length?");
  EXPECT_EQ(ErrorOf("nmae: tiny"),
            "job.yaml:1: nmae: unknown key; did you mean name?");
  EXPECT_EQ(ErrorOf("microBatches: 3"),
            "job.yaml:1: microBatches: unknown key; did you mean "
            "micro_batches?");
  EXPECT_THAT(ErrorOf("learning_rate: 3"),
              HasSubstr("did you mean optimizer.learning_rate?"));
  EXPECT_THAT(ErrorOf("zzzzz: 3"), HasSubstr("unknown key; known are name, "));
  EXPECT_THAT(ErrorOf("model: {feed_forward: {dense: {x: 1}}}"),
              HasSubstr("it has no options"));
}

TEST(JobFile, AllProblemsAreToldAtOnce) {
  const absl::Status status =
      Parse("steps: many\nmodel:\n  width: [1]\n  heads: 4\nseed: 1.5")
          .status();
  EXPECT_THAT(status, StatusIs(kInvalid, HasSubstr("job.yaml:1: ")));
  EXPECT_THAT(FieldViolationsOf(status), SizeIs(4));
  EXPECT_EQ(ReasonOf(status), "FIELD_INVALID");
}

TEST(JobFile, WrongValuesAreToldWithWhatCannotBeRead) {
  const absl::Status status =
      ParseJobFile(
          "expert_cuont: 3\nsteps: -4\nmicro_batches: many\noptimizer:\n"
          "  learning_rate: 1e9\n  beta1: 1.5\n  warmup_fraction: 7\n",
          "job.yaml", {}, FindJobViolations)
          .status();
  EXPECT_THAT(
      status.message(),
      AllOf(HasSubstr("job.yaml:1: expert_cuont: unknown key"),
            HasSubstr("job.yaml:2: steps: -4 is not in 1..100000000"),
            HasSubstr("job.yaml:3: micro_batches: 'many' is not a whole"),
            HasSubstr("job.yaml:5: optimizer.learning_rate: 1e+09 is above 10"),
            HasSubstr("job.yaml:6: optimizer.beta1: 1.5 is not between 0 and"),
            HasSubstr("job.yaml:7: optimizer.warmup_fraction: 7 is not be")));
  // Nothing of what is missing, or follows from the mistakes.
  EXPECT_THAT(FieldViolationsOf(status), SizeIs(6));
}

struct BadValue {
  const char* text;
  const char* error;
};

class JobFileBadValueTest : public ::testing::TestWithParam<BadValue> {};

TEST_P(JobFileBadValueTest, IsRefusedWithItsPlaceAndReason) {
  const absl::Status status = Parse(GetParam().text).status();
  EXPECT_THAT(status, StatusIs(kInvalid, HasSubstr(GetParam().error)));
}

INSTANTIATE_TEST_SUITE_P(
    JobFile, JobFileBadValueTest,
    ::testing::Values(
        BadValue{"steps: abc",
                 "job.yaml:1: steps: 'abc' is not a "
                 "whole number"},
        BadValue{"steps: 1e3", "must be written in digits"},
        BadValue{"steps: 99999999999999999999", "fit 64 bits"},
        BadValue{"steps: \"3\"", "is in quotes, a number is not"},
        BadValue{"steps:", "no value; write one, or leave steps out"},
        BadValue{"steps: {}", "a map where one value belongs"},
        BadValue{"micro_batches: 5000000000", "is too large"},
        BadValue{"optimizer: {learning_rate: fast}", "is not a number"},
        BadValue{"optimizer: {learning_rate: nan}", "is not a number"},
        BadValue{"optimizer: 3", "'3' where optimizer needs keys of its own"},
        BadValue{"model:", "nothing where model needs keys of its own"},
        BadValue{"model: [a]", "a list where model needs keys of its own"},
        BadValue{"name: [a]", "a list where a name belongs"},
        BadValue{"labels: [a]", "a list where a map belongs"},
        BadValue{"labels: {a: {b: c}}", "labels.a: a map where a text"},
        BadValue{"numerics: FAST", "'FAST' is not one of fast, exact"},
        BadValue{"checkpoint: {every: 30}", "'30' lacks a unit: write 30s"},
        BadValue{"checkpoint: {every: soon}", "'soon' is not a duration"},
        BadValue{"checkpoint: {every: inf}", "is not a duration"},
        BadValue{"checkpoint: {every: -3s}", "'-3s' is negative"},
        BadValue{"model: {preset: huge}",
                 "no preset 'huge'; there are tiny, small"},
        BadValue{"model: {feed_forward: {dense: {}, lory: {}}}",
                 "lory and dense exclude each other"},
        BadValue{"steps: 3\nstep_count: 4",
                 "job.yaml:2: steps: step_count and steps are the "
                 "same key"}));

TEST(JobFile, AnOverrideIsCheckedLikeTheFile) {
  EXPECT_EQ(ErrorOf(kTiny, {"stpes=3"}),
            "--set stpes=3: stpes: unknown key; did you mean steps?");
  EXPECT_EQ(ErrorOf(kTiny, {"steps=x"}),
            "--set steps=x: steps: 'x' is not a whole number");
  EXPECT_THAT(ErrorOf(kTiny, {"steps"}), HasSubstr("write key=value"));
  EXPECT_THAT(ErrorOf(kTiny, {"=3"}), HasSubstr("write key=value"));
  EXPECT_THAT(ErrorOf(kTiny, {"model..width=3"}), HasSubstr("write key=value"));
  EXPECT_THAT(ErrorOf(kTiny, {"steps="}), HasSubstr("no value"));
  EXPECT_THAT(ErrorOf(kTiny, {"model=3"}),
              HasSubstr("model needs keys of its own"));
}

TEST(JobFile, RangeErrorsFoundLaterNameTheLine) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const JobFile file,
      Parse("name: a\nmodel:\n  preset: tiny\n  width: 66\n"
            "  vocabulary_size: 100\n  sequence_length: 48\n",
            {"steps=0"}));
  const absl::Status width =
      LocateErrors(ValidateModelSpec(file.spec.model(), "spec.model"), file);
  EXPECT_THAT(width, StatusIs(kInvalid, StartsWith("job.yaml:4: model."
                                                   "width: 66 is not a "
                                                   "multiple of head_count")));
  const absl::Status several =
      LocateErrors(FieldErrors({{"spec.step_count", "0 is not above 0"},
                                {"spec.model.head_count", "4 is not good"},
                                {"spec.optimizer.beta1", "missing"},
                                {"job_id", "taken"}}),
                   file);
  EXPECT_EQ(several.message(),
            "--set steps=0: steps: 0 is not above 0\n"
            "job.yaml:3 (preset tiny): model.head_count: 4 is not good\n"
            "job.yaml:1: optimizer.beta1: missing\n"
            "job.yaml:1: name: taken");
  EXPECT_THAT(FieldViolationsOf(several), SizeIs(4));
}

TEST(JobFile, ASegmentThatDoesNotDivideTheSequenceNamesTheLine) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const JobFile file,
      Parse("model:\n  preset: tiny\n  vocabulary_size: 100\n"
            "  sequence_length: 48\n  feed_forward:\n    lory:\n"
            "      segment_length: 31\n"));
  EXPECT_THAT(
      LocateErrors(ValidateModelSpec(file.spec.model(), "spec.model"), file),
      StatusIs(kInvalid, StartsWith("job.yaml:7: model.feed_forward.lory."
                                    "segment_length: 31 does not divide")));
}

TEST(JobFile, ErrorsWithoutFieldsAreLeftAlone) {
  LORY_ASSERT_OK_AND_ASSIGN(const JobFile file, Parse(kTiny));
  const absl::Status status = absl::NotFoundError("no dataset datasets/demo");
  EXPECT_EQ(LocateErrors(status, file), status);
  EXPECT_OK(LocateErrors(absl::OkStatus(), file));
}

TEST(JobFile, WhatIsWrittenReadsBackTheSame) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const JobFile file,
      Parse(kTiny, {"optimizer.weight_decay=none", "numerics=fast",
                    "labels.note='a: \"b\" #c'", "checkpoint.every=1500ms",
                    "model.norm_epsilon=1e-6", "labels.yes='on'"}));
  const std::string text = JobFileText(file.name, file.spec);
  EXPECT_THAT(text, AllOf(StartsWith("name: tiny\ndataset: demo\nmodel:\n"),
                          HasSubstr("\n  weight_decay: none\n"),
                          HasSubstr("\n  every: 1.5s\n"),
                          HasSubstr("\nnumerics: fast\n"),
                          HasSubstr("\nsteps: 400\n")));
  LORY_ASSERT_OK_AND_ASSIGN(const JobFile again, Parse(text));
  EXPECT_TRUE(MessageDifferencer::Equals(again.spec, file.spec)) << text;
  EXPECT_EQ(again.name, file.name);
}

TEST(JobFile, WhateverBytesComeTheAnswerNamesTheirPlace) {
  constexpr uint64_t kSeed = 20261122;
  SCOPED_TRACE(kSeed);
  Random random(kSeed);
  const std::string alphabet =
      "\n\n  :::{}[],-#&*!|>'\"%@`\t0159aenz_.\xc3\xff";
  for (int round = 0; round < 2000; ++round) {
    std::string text = kTiny;
    for (uint64_t edits = 1 + random.Below(6); edits > 0; --edits) {
      const size_t at = random.Below(text.size());
      const char c = alphabet[random.Below(alphabet.size())];
      switch (random.Below(3)) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1 + random.Below(8));
      }
    }
    const absl::Status status = Parse(text).status();
    if (status.ok()) continue;
    EXPECT_THAT(status, StatusIs(kInvalid, StartsWith("job.yaml:"))) << text;
  }
}

TEST(JobLayers, AFeedForwardReplacesTheOneBeforeWholeWhereAskedTo) {
  LORY_ASSERT_OK_AND_ASSIGN(const YamlNode base, ParseYaml(kTiny, "job.yaml"));
  LORY_ASSERT_OK_AND_ASSIGN(
      const YamlNode value,
      ParseYaml("{lory: {expert_count: 2, segment_length: 16}}", "s"));
  LORY_ASSERT_OK_AND_ASSIGN(
      const YamlNode learned,
      ParseYaml("model: {feed_forward: {lory: {first_segment: learned}}}",
                "s"));
  const std::vector<JobLayer> under = {
      {.source = {.name = "job.yaml"}, .root = base},
      {.source = {.name = "s"}, .root = learned}};
  for (const bool replaces : {false, true}) {
    std::vector<JobLayer> layers = under;
    LORY_ASSERT_OK_AND_ASSIGN(
        JobLayer layer,
        LayerAt("model.feed_forward", 7, {.name = "study.yaml"}, value));
    layer.replaces_below = replaces ? 1 : -1;
    layers.push_back(layer);
    LORY_ASSERT_OK_AND_ASSIGN(const JobFile file, ReadJobLayers(layers));
    const auto& lory = file.spec.model().feed_forward().lory();
    EXPECT_EQ(lory.expert_count(), 2);
    EXPECT_EQ(lory.first_segment() == lory::v1::LoryFeedForward::LEARNED,
              !replaces);
    EXPECT_EQ(file.spec.model().width(), 64);
    EXPECT_EQ(file.origins.Find("spec.model.feed_forward"), "study.yaml:7");
  }
}

TEST(JobLayers, APathWithAnEmptyKeyIsRefused) {
  for (const char* path : {"", "model.", ".width", "model..width", "spec"}) {
    EXPECT_THAT(LayerAt(path, 3, {.name = "s"}, {}).status(),
                StatusIs(kInvalid, HasSubstr("s:3: '")));
  }
}

TEST(JobFile, EveryPresetIsAModelThatCanBeTrained) {
  struct Size {
    const char* preset;
    int64_t vocabulary;
    double active_millions;
    double all_millions;
  };
  for (const Size& size :
       {Size{"tiny", 4096, 1.85, 3.5}, Size{"small", 8192, 10.6, 41},
        Size{"lory-0.3b", 32000, 374, 1827},
        Size{"lory-1.5b", 32000, 1457, 7800}}) {
    LORY_ASSERT_OK_AND_ASSIGN(
        const JobFile file,
        Parse(absl::StrCat("model: {preset: ", size.preset,
                           ", sequence_length: 4096, vocabulary_size: ",
                           size.vocabulary, "}")));
    LORY_ASSERT_OK_AND_ASSIGN(const ModelShape shape,
                              ResolveModelShape(file.spec.model()));
    EXPECT_NEAR(ActiveParameterCount(shape) / 1e6, size.active_millions,
                0.01 * size.active_millions)
        << size.preset;
    EXPECT_NEAR(ParameterCount(shape) / 1e6, size.all_millions,
                0.02 * size.all_millions)
        << size.preset;
  }
}

// The totals of Zhong et al. 2024, table 4, to the digit that their widths
// give.
TEST(JobFile, ThePapersPresetsHaveThePapersTotals) {
  struct Total {
    const char* preset;
    int experts;
    double billions;
  };
  for (const Total& total :
       {Total{"lory-0.3b", 1, 0.374}, Total{"lory-0.3b", 8, 1.827},
        Total{"lory-0.3b", 16, 3.489}, Total{"lory-0.3b", 32, 6.811},
        Total{"lory-1.5b", 1, 1.457}, Total{"lory-1.5b", 8, 7.800},
        Total{"lory-1.5b", 16, 15.048}, Total{"lory-1.5b", 32, 29.545}}) {
    LORY_ASSERT_OK_AND_ASSIGN(
        const JobFile file,
        Parse(absl::StrCat("model: {preset: ", total.preset,
                           ", sequence_length: 4096, vocabulary_size: 32000, "
                           "feed_forward: {lory: {expert_count: ",
                           total.experts, "}}}")));
    LORY_ASSERT_OK_AND_ASSIGN(const ModelShape shape,
                              ResolveModelShape(file.spec.model()));
    EXPECT_NEAR(static_cast<double>(ParameterCount(shape)) / 1e9,
                total.billions, 0.0005)
        << total.preset << ", " << total.experts << " experts";
  }
}

TEST(ParseJobFile, AnEmptyBeginningIsNoBeginning) {
  EXPECT_THAT(
      ParseJobFile("dataset: demo\ninit_from: ''\n", "job.yaml", {}, {}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("job.yaml:2: init_from: is empty")));
  const auto named =
      ParseJobFile("dataset: demo\ninit_from: tiny\n", "job.yaml", {}, {});
  EXPECT_EQ(named->spec.init_from(), "jobs/tiny");
}

}  // namespace
}  // namespace lory::config
