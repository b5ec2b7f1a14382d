#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/config/job_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/loryctl/fake_service.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Job;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kJob[] = R"(name: tiny
dataset: demo
model: {preset: tiny}
optimizer: {learning_rate: 1e-3}
steps: 400
micro_batches: 4
micro_batch_sequences: 8
)";

struct SubmitTest : ::testing::Test {
  SubmitTest() {
    lory::v1::Dataset dataset;
    dataset.set_name("datasets/demo");
    dataset.set_vocabulary_size(4096);
    dataset.set_sequence_length(256);
    fake.datasets = {dataset};
  }

  Outcome Submit(const std::string& text, std::vector<std::string> more = {}) {
    if (!started_) fake.Start();
    started_ = true;
    const std::string path = folder.Write("job.yaml", text);
    std::vector<std::string> words = {"-s",     fake.address(), "job",
                                      "submit", "-f",           path};
    words.insert(words.end(), more.begin(), more.end());
    Outcome outcome = Loryctl(words);
    // The folder's name changes from run to run.
    for (size_t at;
         (at = outcome.err.find(folder.path() + "/")) != std::string::npos;) {
      outcome.err.erase(at, folder.path().size() + 1);
    }
    return outcome;
  }

  testing::TemporaryFolder folder;
  FakeService fake;

 private:
  bool started_ = false;
};

TEST_F(SubmitTest, TakesFromTheDatasetWhatTheFileLeavesOut) {
  const Outcome outcome = Submit(kJob);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "jobs/tiny\n");
  EXPECT_THAT(outcome.err, HasSubstr("follow it: loryctl job watch tiny"));
  EXPECT_THAT(fake.requests().back(),
              AllOf(StartsWith("CreateJob job_id: \"tiny\""),
                    HasSubstr("vocabulary_size: 4096"),
                    HasSubstr("sequence_length: 256"),
                    HasSubstr("request_id: "), Not(HasSubstr("validate"))));
}

TEST_F(SubmitTest, FlagsLayOverTheFile) {
  EXPECT_EQ(
      Submit(kJob, {"--name", "other", "--set", "steps=7", "--set", "seed=9"})
          .code,
      0);
  EXPECT_THAT(fake.requests().back(),
              AllOf(HasSubstr("job_id: \"other\""), HasSubstr("step_count: 7"),
                    HasSubstr("seed: 9")));
}

TEST_F(SubmitTest, ADryRunPrintsTheWholeJobAndSubmitsNothing) {
  const Outcome outcome = Submit(kJob, {"--dry-run"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(fake.requests().back(), HasSubstr("validate_only: true"));
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("model: 1.85 M active of"),
                                 HasSubstr("nothing was submitted")));
  EXPECT_THAT(outcome.err,
              HasSubstr("\nparameters: 3,476,608 (0.003 B), of them active "
                        "1,852,544 (0.002 B)\n"));
  EXPECT_OK(config::ParseJobFile(outcome.out, "out.yaml", {}));
}

TEST_F(SubmitTest, OfflineNeedsNoCoordinatorAndWritesOutEveryDefault) {
  const Outcome outcome = Submit(kJob, {"--dry-run", "--offline"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(fake.requests(), IsEmpty());
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("\n  beta2: 0.95\n"),
                                 HasSubstr("\n  keep_count: 3\n"),
                                 HasSubstr("first_segment: self_stop_grad")));
  EXPECT_OK(config::ParseJobFile(outcome.out, "out.yaml", {}));
}

TEST_F(SubmitTest, ADryRunCountsThePapersParameters) {
  const Outcome outcome = Submit(
      "name: paper\ndataset: demo\nsteps: 10\nmicro_batches: 1\n"
      "micro_batch_sequences: 1\noptimizer: {learning_rate: 1e-3}\n"
      "model: {preset: lory-1.5b, vocabulary_size: 32000, sequence_length: "
      "4096, feed_forward: {lory: {expert_count: 32}}}\n",
      {"--dry-run", "--offline"});
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("(29.545 B), of them active "),
                                 HasSubstr("(1.457 B)\n")));
}

TEST_F(SubmitTest, ReadsStdin) {
  fake.Start();
  const Outcome outcome = Loryctl(
      {"-s", fake.address(), "job", "submit", "-f", "-", "--set", "stesp=1"},
      {.input = kJob});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("did you mean steps?"));
}

struct BadJob {
  const char* line;  // appended to the job
  const char* error;
};

TEST_F(SubmitTest, EveryMistakeNamesFileAndLineBeforeAnythingIsAsked) {
  for (const BadJob& bad : {
           BadJob{"modle: {}",
                  "job.yaml:8: modle: unknown key; did you "
                  "mean model?"},
           BadJob{"steps: 3",
                  "job.yaml:8: steps: given twice, first in line "
                  "5"},
           BadJob{"priority: 5000",
                  "job.yaml:8: priority: 5000 is not in -1000..1000"},
           BadJob{"max_workers: 8",
                  "job.yaml:6: micro_batches: 4 is below max_workers "
                  "(8): every trainer needs a micro-batch in each step"},
           BadJob{"min_workers: 4\nmax_workers: 2",
                  "job.yaml:9: max_workers: 2 is below min_workers (4)"},
           BadJob{"numerics: exact",
                  "job.yaml:8: numerics: EXACT comes "
                  "with a later release"},
           BadJob{"checkpoint: {every: 5}", "lacks a unit"},
           BadJob{"checkpoint: {every: 500ms}",
                  "job.yaml:8: checkpoint.every: 500ms is not in 1s..8760h"},
           BadJob{"seed: -3", "job.yaml:8: seed: -3 is below 0"},
           BadJob{"\tx: 1", "job.yaml:8: a tab in the indentation"},
           BadJob{"x: \xff", "job.yaml:8: not UTF-8"},
       }) {
    const Outcome outcome = Submit(absl::StrCat(kJob, bad.line, "\n"));
    EXPECT_EQ(outcome.code, 2) << bad.line;
    EXPECT_THAT(outcome.err, HasSubstr(bad.error));
    EXPECT_THAT(outcome.out, IsEmpty());
  }
  EXPECT_THAT(fake.requests(), IsEmpty());
}

TEST_F(SubmitTest, ModelMistakesNameTheLineToo) {
  std::string text = kJob;
  text.replace(text.find("{preset: tiny}"), 14,
               "{preset: tiny, sequence_length: 100, vocabulary_size: 9}");
  EXPECT_THAT(Submit(text).err,
              HasSubstr("job.yaml:3 (preset tiny): model.feed_forward."
                        "lory.segment_length: 32 does not divide"));
  EXPECT_THAT(Submit(kJob, {"--set", "model.width=30"}).err,
              HasSubstr("--set model.width=30: model.width: 30 is not a "
                        "multiple of head_count (4)"));
}

TEST_F(SubmitTest, AnEmptyOrMissingFileIsSaidSo) {
  EXPECT_THAT(Submit("").err, HasSubstr("job.yaml:1: the file is empty"));
  EXPECT_THAT(Submit("name: x\n").err,
              HasSubstr("job.yaml:1: dataset: missing"));
  const Outcome outcome = Loryctl({"job", "submit", "-f", "/nowhere/job.yaml"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("/nowhere/job.yaml"));
}

TEST_F(SubmitTest, AnUnknownDatasetSaysHowToRegisterIt) {
  fake.datasets.clear();
  const Outcome outcome = Submit(kJob);
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.err,
            "error: job.yaml:2: dataset: no dataset demo is registered\n"
            "try: loryctl dataset register demo /path/to/manifest.json; "
            "loryctl dataset list\n");
}

TEST_F(SubmitTest, WhatTheCoordinatorRefusesNamesTheLineToo) {
  fake.errors["CreateJob"] =
      FieldErrors({{"spec.step_count", "400 is too many today"},
                   {"job_id", "'tiny' is not nice"}});
  const Outcome outcome = Submit(kJob);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err,
            "error: job.yaml:5: steps: 400 is too many today\n"
            "       job.yaml:1: name: 'tiny' is not nice\n");
}

TEST_F(SubmitTest, WhatTheDatasetKnowsNeedNotBeWritten) {
  const auto submit = [&](const char* key, const std::string& job) {
    fake.Change([&] {
      fake.errors["CreateJob"] = ErrorWithReason(
          absl::StatusCode::kFailedPrecondition, "DATASET_MISMATCH",
          absl::StrCat("spec.model.", key, ": it is 7, but the others"));
    });
    return Submit(job).err;
  };
  const std::string from = absl::StrCat(kJob, "init_from: other\n");
  EXPECT_THAT(submit("vocabulary_size", kJob),
              HasSubstr("leave model.vocabulary_size out"));
  EXPECT_THAT(submit("sequence_length", kJob),
              HasSubstr("leave model.sequence_length out"));
  EXPECT_THAT(submit("sequence_length", from),
              HasSubstr("leave model.sequence_length out"));
  // The weights have their vocabulary.
  EXPECT_THAT(submit("vocabulary_size", from), Not(HasSubstr("leave model")));
}

TEST_F(SubmitTest, ATakenNameIsExitCodeFiveWithBothWaysOut) {
  fake.errors["CreateJob"] = ErrorWithReason(absl::StatusCode::kAlreadyExists,
                                             "JOB_EXISTS", "jobs/tiny exists");
  const Outcome outcome = Submit(kJob);
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("reason: JOB_EXISTS"), HasSubstr("--name"),
                    HasSubstr("loryctl job delete tiny")));
}

struct WatchTest : SubmitTest {
  void Ends(Job::State state, const char* reason) {
    Job job = TrainingJob();
    fake.watched = {job, job};
    job.set_state(state);
    job.set_reason(reason);
    job.mutable_progress()->set_step(400);
    fake.watched.push_back(job);
  }
};

TEST_F(WatchTest, OffATerminalPrintsALineAtEachChangeAndHowItEnded) {
  Ends(Job::SUCCEEDED, "all steps are applied");
  const Outcome outcome = Submit(kJob, {"--watch"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              StartsWith("jobs/tiny\n"
                         "RUNNING  step 120/400  30 %  loss 4.513  12,346 "
                         "tokens/s  2m10s left  generation 2  both members "
                         "train\n"
                         "SUCCEEDED  step 400/400  100 %  loss 4.513  12,346 "
                         "tokens/s on average  generation 2  all steps are "
                         "applied\n"
                         "\nheld-out text after step 100\n"));
}

TEST_F(WatchTest, TheExitCodeSaysHowTheJobEnded) {
  Ends(Job::FAILED, "loss is not finite");
  Outcome outcome = Submit(kJob, {"--watch"});
  EXPECT_EQ(outcome.code, 6);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("error: job tiny failed: loss is not finite"),
                    HasSubstr("try: loryctl job timeline tiny")));
  fake.Change([this] { Ends(Job::CANCELLED, "by a person"); });
  EXPECT_EQ(Submit(kJob, {"--watch"}).code, 7);
}

TEST_F(WatchTest, OnATerminalOneLineIsDrawnAgainAndAgain) {
  Ends(Job::SUCCEEDED, "done");
  fake.Start();
  const Outcome outcome = Loryctl(
      {"-s", fake.address(), "job", "watch", "tiny"},
      {.is_terminal = true, .columns = 60, .variables = {{"NO_COLOR", "1"}}});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out,
              StartsWith("\r\x1b[KRUNNING  step 120/400  30 %  loss 4.513  "
                         "12,346 tokens/s...\r\x1b[K"));
}

TEST_F(WatchTest, JsonIsOneObjectALine) {
  Ends(Job::SUCCEEDED, "done");
  fake.Start();
  const Outcome outcome =
      Loryctl({"-s", fake.address(), "job", "watch", "tiny", "-o", "json"});
  std::istringstream lines(outcome.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_EQ(nlohmann::json::parse(line)["name"], "jobs/tiny");
  }
  EXPECT_EQ(count, 3);
}

TEST_F(WatchTest, AMissingJobIsExitCodeThree) {
  fake.errors["WatchJob"] = absl::NotFoundError("no jobs/tiny");
  fake.Start();
  EXPECT_EQ(Loryctl({"-s", fake.address(), "job", "watch", "tiny"}).code, 3);
}

}  // namespace
}  // namespace lory::ctl
