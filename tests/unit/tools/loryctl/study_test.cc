#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/config/feed_forward_shape.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/loryctl/study_fixture.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Job;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;

TEST_F(StudyTest, SubmitsEveryVariantWithEverySeedAndWritesTheTables) {
  const Outcome outcome = Study("run");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(Submitted(), ElementsAre("small-lory-s1", "small-dense-s1",
                                       "small-lory-s2", "small-dense-s2"));
  // dense - lory is 0.5 and 0.6: 0.55, and 0.1 / sqrt(2) / sqrt(2) of error.
  const std::string text = Result("results.md");
  EXPECT_THAT(
      text,
      AllOf(HasSubstr("4 of 4 jobs succeeded (1970-01-12 13:46"),
            HasSubstr("| lory | 2/2 | - | 3.0500 ± 0.0500 | - | 2.550 ± "
                      "0.050 | 1500 ± 500 | 0.50 | "),
            HasSubstr("| dense | 2/2 | lory | 3.6000 ± 0.1000 | +0.5500 ± "
                      "0.0500 | 3.100 ± 0.100 | 1500 ± 500 | - | "),
            HasSubstr("| variant | code |\n|---|---:|\n"
                      "| lory | 21.50 ± 0.50 |\n"),
            HasSubstr(kStudy), Not(HasSubstr("did not succeed"))));
  EXPECT_THAT(Result("results.csv"),
              HasSubstr("\nlory,1,small-lory-s1,SUCCEEDED,400,400,3,2.5,1000,"
                        "0.5,"));
  EXPECT_THAT(Result("results.svg"), HasSubstr("lory 3.0500 ± 0.0500"));
  EXPECT_THAT(outcome.out, HasSubstr("3.6000 ± 0.1000"));
  EXPECT_THAT(outcome.err, HasSubstr("small.results/results.md"));
}

TEST_F(StudyTest, AVariantOfTheFeedForwardIsReplacedWhole) {
  const std::string text =
      absl::StrCat(absl::StrReplaceAll(
                       kStudy, {{"h: 64}", "h: 64, first_segment: learned}"}}),
                   "  - name: uniform\n"
                   "    set: {model.feed_forward.lory.first_segment: uniform}\n"
                   "  - name: whole\n"
                   "    set: {model.feed_forward: {lory: {expert_count: 8, "
                   "segment_length: 32}}}\n"
                   "  - name: random\n    dataset: random\n");
  EXPECT_EQ(Study("run", text).code, 0);
  EXPECT_EQ(Submitted().size(), 10u);
  EXPECT_THAT(Request("small-lory-s1"), HasSubstr("first_segment: LEARNED"));
  EXPECT_THAT(Request("small-uniform-s1"),
              AllOf(HasSubstr("segment_length: 64"),
                    HasSubstr("first_segment: UNIFORM")));
  EXPECT_THAT(Request("small-whole-s1"),
              AllOf(HasSubstr("expert_count: 8"),
                    HasSubstr("first_segment: SELF_STOP_GRADIENT")));
  EXPECT_THAT(Request("small-dense-s1"),
              AllOf(HasSubstr("dense {"), Not(HasSubstr("lory {"))));
  EXPECT_THAT(Request("small-random-s2"),
              AllOf(HasSubstr("\"datasets/random\""), HasSubstr(" seed: 2 ")));
}

TEST_F(StudyTest, AVariantMayBeComparedWithAnotherThanTheReference) {
  const std::string text = absl::StrReplaceAll(
      absl::StrCat(kStudy, "reference: dense\n"),
      {{"  - name: lory\n",
        "  - name: lory\n  - name: lory-random\n    dataset: random\n"
        "    against: lory\n"}});
  EXPECT_EQ(Study("run", text).code, 0);
  EXPECT_THAT(
      Result("results.md"),
      AllOf(HasSubstr("| lory | 2/2 | dense | 3.0500 ± 0.0500 | -0.5500 ± "
                      "0.0500 | "),
            HasSubstr("| lory-random | 2/2 | lory | 3.0500 ± 0.0500 | 0.0000 "
                      "| "),
            HasSubstr("| dense | 2/2 | - | 3.6000 ± 0.1000 | - | ")));
}

TEST_F(StudyTest, RunAgainSubmitsOnlyWhatIsNotThere) {
  EXPECT_EQ(Study("run").code, 0);
  fake.Change([this] { fake.jobs.erase(fake.jobs.begin() + 1); });
  EXPECT_EQ(Study("run").code, 0);
  EXPECT_EQ(Submitted().size(), 5u);
  EXPECT_EQ(Submitted().back(), "small-dense-s1");
  // What `job update` changes makes no other job of it.
  fake.Change([this] { fake.jobs[0].mutable_spec()->set_priority(7); });
  EXPECT_EQ(Study("run").code, 0);
  EXPECT_EQ(Submitted().size(), 5u);
}

TEST_F(StudyTest, AJobOfAnotherSpecIsRefusedWithWhatDiffers) {
  EXPECT_EQ(Study("run").code, 0);
  fake.Change([this] { fake.jobs[0].mutable_spec()->set_step_count(300); });
  const Outcome outcome = Study("run");
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("there is a job small-lory-s1"),
                    HasSubstr("steps: 300, not 400"),
                    HasSubstr("loryctl job delete small-lory-s1")));
  EXPECT_EQ(Submitted().size(), 4u);
}

TEST_F(StudyTest, AFailedJobHidesNoOther) {
  fake.on_create = [](Job& job) {
    Succeed(job);
    if (job.name() != "jobs/small-dense-s2") return;
    job.set_state(Job::FAILED);
    job.set_reason("loss is not finite, twice");
  };
  const Outcome outcome = Study("run");
  EXPECT_EQ(outcome.code, 6);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("3 of 4 jobs succeeded, 1 failed"),
                    HasSubstr("error: 1 of 4 jobs failed: small-dense-s2"),
                    HasSubstr("to try one again, loryctl job resume NAME"),
                    HasSubstr("try: loryctl job timeline small-dense-s2")));
  EXPECT_THAT(
      Result("results.md"),
      AllOf(HasSubstr("| dense | 1/2 | lory | 3.5000 | +0.5000 | "),
            HasSubstr("- `small-dense-s2` FAILED: loss is not finite, twice")));
  EXPECT_THAT(Result("results.csv"),
              AllOf(HasSubstr("small-dense-s2,FAILED"),
                    HasSubstr(",\"loss is not finite, twice\"\n")));
}

TEST_F(StudyTest, CtrlCLeavesTheJobsAndSaysHowToGoOn) {
  fake.on_create = [](Job& job) { job.set_state(Job::RUNNING); };
  int calls = 0;
  const Outcome outcome = Study("run", kStudy, {"--max-running", "2"},
                                {.stops = [&] { return ++calls > 5; }});
  EXPECT_EQ(outcome.code, 130);
  EXPECT_THAT(Submitted(), ElementsAre("small-lory-s1", "small-dense-s1"));
  EXPECT_THAT(
      outcome.err,
      AllOf(HasSubstr("2 submitted jobs go on"),
            HasSubstr("go on: loryctl study run study.yaml --max-running 2"),
            HasSubstr("loryctl job cancel small-lory-s1 small-dense-s1")));
  for (const std::string& request : fake.requests()) {
    EXPECT_THAT(request, Not(HasSubstr("CancelJob")));
  }
}

TEST_F(StudyTest, AStopBeforeTheFirstJobSubmitsNone) {
  EXPECT_EQ(Study("run", kStudy, {}, {.stops = [] { return true; }}).code, 130);
  EXPECT_THAT(Submitted(), IsEmpty());
}

TEST_F(StudyTest, NoMoreThanMaxRunningAreSubmittedAtATime) {
  std::vector<int64_t> going;
  fake.on_create = [](Job& job) { job.set_state(Job::RUNNING); };
  const Outcome outcome = Study(
      "run", kStudy, {"--max-running", "1"}, {.stops = [&] {
        fake.Change([&] {
          going.push_back(std::count_if(
              fake.jobs.begin(), fake.jobs.end(),
              [](const Job& job) { return job.state() == Job::RUNNING; }));
          for (Job& job : fake.jobs) Succeed(job);
        });
        return false;
      }});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(Submitted().size(), 4u);
  EXPECT_THAT(going, AllOf(Each(Le(1)), Contains(1)));
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("0 of 4 jobs succeeded, 1 queued, 3 not "
                              "submitted\n"),
                    HasSubstr("1 of 4 jobs succeeded, 1 queued, 2 not "
                              "submitted  1,638,400 tokens/s  6.0s left\n")));
}

TEST_F(StudyTest, AReportWritesWhatIsThereNow) {
  fake.on_create = [](Job& job) {
    job.set_state(Job::RUNNING);
    if (job.name() == "jobs/small-lory-s1") Succeed(job);
  };
  int calls = 0;
  EXPECT_EQ(
      Study("run", kStudy, {}, {.stops = [&] { return ++calls > 6; }}).code,
      130);
  fake.Change([this] { fake.jobs.pop_back(); });
  const Outcome outcome = Study("report");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("1 of 4 jobs succeeded, 2 running, 1 not "
                                     "submitted"));
  EXPECT_THAT(Result("results.md"),
              AllOf(HasSubstr("| lory | 1/2 | - | 3.0000 | - |"),
                    HasSubstr("- `small-dense-s2` NOT SUBMITTED\n")));
  EXPECT_EQ(Study("report", kStudy, {"-o", "name"}).out,
            "jobs/small-lory-s1\njobs/small-dense-s1\njobs/small-lory-s2\n");
}

TEST_F(StudyTest, ADryRunSubmitsNothingAndSaysWhatDiffers) {
  const Outcome outcome = Study("run", kStudy, {"--dry-run"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(Submitted(), IsEmpty());
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("lory (reference): small-lory-s1 (new), "
                      "small-lory-s2 (new)\n"),
            HasSubstr("  model.feed_forward: dense, not lory {"),
            HasSubstr("expert_count: 4"), Not(HasSubstr("model.feed_forward.")),
            Not(HasSubstr("none")), Not(HasSubstr("seed"))));
  EXPECT_THAT(outcome.err, HasSubstr("4 of 4 jobs would be submitted"));
  EXPECT_EQ(Result("results.md"), "");
}

TEST_F(StudyTest, OnATerminalOneLineIsDrawnAgain) {
  const Outcome outcome = Study("run", kStudy, {}, {.is_terminal = true});
  EXPECT_THAT(outcome.err, HasSubstr("\r\x1b[K4 of 4 jobs succeeded"));
}

TEST_F(StudyTest, ACoordinatorThatIsAwayIsWaitedFor) {
  fake.on_create = [](Job& job) { job.set_state(Job::RUNNING); };
  int calls = 0;
  const auto stops = [&] {
    if (++calls == 6) {
      fake.Change([&] { fake.errors["GetJob"] = absl::UnavailableError("x"); });
    }
    if (calls == 8) {
      fake.Change([&] {
        fake.errors.clear();
        for (Job& job : fake.jobs) Succeed(job);
      });
    }
    return false;
  };
  const Outcome outcome = Study("run", kStudy, {}, {.stops = stops});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("the coordinator is away"),
                                 HasSubstr("the coordinator is back")));
}

struct BadStudy {
  const char* from;  // what of the good one is replaced
  const char* to;
  const char* error;
};

TEST_F(StudyTest, EveryMistakeNamesFileAndLineBeforeAnythingIsSubmitted) {
  const std::string long_name(60, 'x');
  const std::string long_line = "  - name: " + long_name + "\n";
  for (const BadStudy& bad : {
           BadStudy{"seeds:", "seed:",
                    "study.yaml:11: seed: unknown key; did you mean seeds?"},
           BadStudy{"seeds: [1, 2]\n", "", "study.yaml:1: seeds: missing"},
           BadStudy{"[1, 2]", "[]", "study.yaml:11: seeds: no seeds"},
           BadStudy{"[1, 2]", "[1, 1]",
                    "study.yaml:11: seeds: 1 is given "
                    "twice"},
           BadStudy{"[1, 2]", "[x]",
                    "study.yaml:11: seeds: 'x' is not a whole number"},
           BadStudy{"name: dense", "name: lory",
                    "study.yaml:14: variants.name: two variants are called "
                    "lory"},
           BadStudy{"name: dense", "name: Dense",
                    "study.yaml:14: variants.name: 'Dense' where a word of "
                    "lower-case letters"},
           BadStudy{
               "name: small", "name: 1small",
               "study.yaml:1: name: '1small' does not begin with a letter"},
           BadStudy{"  - name: lory\n", long_line.c_str(),
                    "-s1, 69 characters; 63 are allowed"},
           BadStudy{"    set:", "    sets:",
                    "study.yaml:15: variants.sets: unknown key; did you mean "
                    "set?"},
           BadStudy{"model.feed_forward: {d", "model.feed_forwrd: {d",
                    "study.yaml:15: model.feed_forwrd: unknown key; did you "
                    "mean feed_forward?"},
           BadStudy{"model.feed_forward: {dense: {}}", "model..width: 8",
                    "study.yaml:15: 'model..width' is no path to a field"},
           BadStudy{"model.feed_forward: {dense: {}}", "seed: 8",
                    "study.yaml:15: variants.set.seed: is made by the study"},
           BadStudy{"model.feed_forward: {dense: {}}", "priority: 5000",
                    "study.yaml:15: priority: 5000 is not in -1000..1000"},
           BadStudy{"steps: 400", "stesp: 400",
                    "study.yaml:8: stesp: unknown key; did you mean steps?"},
           BadStudy{"seeds: [1, 2]", "seeds: [1]\nreference: desne",
                    "study.yaml:12: reference: 'desne' is no variant; did you "
                    "mean dense?"},
           BadStudy{"    set:", "    against: other\n    set:",
                    "study.yaml:14: variants.against: 'other' is none of the "
                    "variants lory, dense"},
           BadStudy{"seeds: [1, 2]", "seeds: [1]\nbase_file: job.yaml",
                    "base: write either base:"},
           BadStudy{"name: small", "- small", "study.yaml:"},
       }) {
    const Outcome outcome =
        Study("run", absl::StrReplaceAll(kStudy, {{bad.from, bad.to}}));
    EXPECT_EQ(outcome.code, 2) << bad.error;
    EXPECT_THAT(outcome.err, HasSubstr(bad.error));
  }
  EXPECT_THAT(fake.requests(), IsEmpty());
}

TEST_F(StudyTest, TheBaseMayBeAFileBesideTheStudy) {
  const std::string study =
      "name: small\nbase_file: job.yaml\nseeds: [3]\n"
      "variants: [{name: lory}]\n";
  Outcome outcome = Study("run", study);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("study.yaml:2: base_file: "),
                                 HasSubstr("job.yaml")));
  folder.Write("job.yaml",
               "name: other\nmodel: {preset: tiny}\nstepz: 4\n"
               "dataset: demo\n");
  outcome = Study("run", study);
  EXPECT_THAT(outcome.err, HasSubstr("job.yaml:3: stepz: unknown key"));
  folder.Write("job.yaml",
               "name: other\nmodel: {preset: tiny}\nsteps: 4\ndataset: demo\n"
               "micro_batches: 1\nmicro_batch_sequences: 1\nseed: 9\n"
               "optimizer: {learning_rate: 1e-3}\n");
  outcome = Study("run", study);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(Submitted(), ElementsAre("small-lory-s3"));
  EXPECT_THAT(Result("results.md"),
              AllOf(HasSubstr("Its base_file, `"),
                    HasSubstr("optimizer: {learning_rate: 1e-3}\n```\n")));
}

TEST_F(StudyTest, AMissingStudyIsExitCodeThree) {
  EXPECT_EQ(Loryctl({"study", "run", "/nowhere/study.yaml"}).code, 3);
}

TEST_F(StudyTest, WhatACheckpointDecidesIsNoDifference) {
  // As the coordinator does.
  fake.on_create = [](Job& job) {
    auto& spec = *job.mutable_spec();
    if (!spec.has_model()) {
      spec.mutable_model()->set_width(64);
      spec.mutable_model()->mutable_feed_forward()->mutable_lory();
    }
    config::RemoveDensePhase(*spec.mutable_model()->mutable_feed_forward());
    Succeed(job);
  };
  const std::string with_model = absl::StrReplaceAll(
      kStudy, {{"dataset: demo", "dataset: demo\n  init_from: tiny"}});
  const std::string without = R"(name: bare
base: {dataset: demo, init_from: tiny, steps: 400, micro_batches: 4,
  micro_batch_sequences: 8, optimizer: {learning_rate: 1e-3}}
seeds: [1]
variants:
  - name: slow
  - name: fast
    set: {optimizer.learning_rate: 2e-3}
)";
  for (const std::string& text : {with_model, without}) {
    for (const char* verb : {"run", "run", "report"}) {
      const Outcome outcome = Study(verb, text);
      EXPECT_EQ(outcome.code, 0) << outcome.err;
    }
  }
  EXPECT_EQ(Submitted().size(), 6u);
  // What it does not decide is.
  EXPECT_THAT(
      Study("run", absl::StrReplaceAll(without, {{"400", "300"}})).err,
      AllOf(HasSubstr("steps: 400, not 300\ntry: "), Not(HasSubstr("model"))));
}

TEST_F(StudyTest, AJobIsTriedAgainWithTheSameRequestId) {
  fake.errors["CreateJob"] = absl::UnavailableError("x");
  int calls = 0;
  const auto stops = [&] {
    if (++calls == 3) fake.Change([&] { fake.errors.clear(); });
    return false;
  };
  EXPECT_EQ(Study("run", kStudy, {}, {.stops = stops}).code, 0);
  std::vector<std::string> tries;
  for (const std::string& request : fake.requests()) {
    if (absl::StartsWith(request, "CreateJob job_id: \"small-lory-s1\"")) {
      tries.push_back(request);
    }
  }
  ASSERT_GE(tries.size(), 2u);
  EXPECT_THAT(tries, Each(AllOf(HasSubstr("request_id: "), tries[0])));
}

}  // namespace
}  // namespace lory::ctl
