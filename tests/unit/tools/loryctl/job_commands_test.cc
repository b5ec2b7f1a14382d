#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/error_detail.h"
#include "common/config/job_file.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/loryctl/fake_service.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobEvent;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct JobCommandsTest : ::testing::Test {
  // Runs `loryctl --server FAKE arguments`, split at spaces.
  Outcome Ctl(absl::string_view arguments, Terminal terminal = {}) {
    if (!started_) fake.Start();
    started_ = true;
    std::vector<std::string> words = {"--server", fake.address()};
    for (const auto word : absl::StrSplit(arguments, ' ')) {
      words.emplace_back(word);
    }
    return Loryctl(words, terminal);
  }

  Job Named(const std::string& name, Job::State state) {
    Job job = TrainingJob();
    job.set_name(absl::StrCat("jobs/", name));
    job.set_state(state);
    return job;
  }

  void Happened(JobEvent::Kind kind, int64_t seconds, const char* message,
                const char* took = nullptr) {
    JobEvent event;
    event.set_kind(kind);
    event.mutable_time()->set_seconds(seconds);
    event.set_message(message);
    event.set_step(-1);
    if (took != nullptr) (*event.mutable_attributes())["seconds"] = took;
    fake.events.push_back(event);
  }

  FakeService fake;

 private:
  bool started_ = false;
};

TEST_F(JobCommandsTest, ListShowsEveryPageAsATable) {
  fake.jobs = {Named("tiny", Job::RUNNING), Named("second", Job::FAILED),
               Named("a-third-one", Job::QUEUED)};
  const Outcome outcome = Ctl("job list");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "NAME         STATE       STEP   LOSS  TOKENS/S  WORKERS  "
            "GENERATION     AGE  REASON\n"
            "tiny         RUNNING  120/400  4.513    12,345        2           "
            "2  10m00s  both members train\n"
            "second       FAILED   120/400  4.513         -        2           "
            "2  10m00s  both members train\n"
            "a-third-one  QUEUED   120/400  4.513    12,345        2           "
            "2  10m00s  both members train\n");
}

TEST_F(JobCommandsTest, ListSpeaksJsonYamlAndNames) {
  fake.jobs = {Named("tiny", Job::RUNNING), Named("other", Job::QUEUED)};
  EXPECT_EQ(Ctl("job list -o name").out, "jobs/tiny\njobs/other\n");
  const auto json = nlohmann::json::parse(Ctl("-o json jobs list").out);
  EXPECT_EQ(json["jobs"][0]["state"], "RUNNING");
  EXPECT_EQ(json["jobs"][1]["progress"]["loss"], 4.5125);
  EXPECT_THAT(
      Ctl("job list -o yaml").out,
      AllOf(StartsWith("jobs:\n- name: jobs/tiny\n"),
            HasSubstr("\n  state: RUNNING\n"),
            HasSubstr("\n      weight_mean: [0.5, 0.375, 0.125, 0]\n")));
}

TEST_F(JobCommandsTest, AnEmptyListPrintsNoDataAndSaysWhatToDo) {
  const Outcome outcome = Ctl("job list");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, HasSubstr("loryctl job submit"));
  EXPECT_EQ(nlohmann::json::parse(Ctl("job list -o json").out)["jobs"].size(),
            0u);
}

TEST_F(JobCommandsTest, GetShowsMembersPerplexityAndExperts) {
  fake.jobs = {TrainingJob()};
  const Outcome outcome = Ctl("job get tiny");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string golden,
      io::LocalStorage().Read(LORY_SOURCE_DIR
                              "/tests/unit/tools/loryctl/job_get.golden.txt"));
  EXPECT_EQ(outcome.out, golden);
}

TEST_F(JobCommandsTest, GetShowsTheLoadWhereTokensMeetSingleExperts) {
  fake.jobs = {TrainingJob()};
  EXPECT_THAT(Ctl("job get tiny").out, Not(HasSubstr("HIGHEST LOAD")));
  fake.Change([this] {
    auto& layer = *fake.jobs[0].mutable_progress()->mutable_routing(1);
    layer.set_load_ratio(1.5);
    layer.set_unrouted_share(0.25);
  });
  EXPECT_THAT(Ctl("job get tiny").out,
              AllOf(HasSubstr("HIGHEST LOAD"), HasSubstr("1.50 x mean"),
                    HasSubstr("UNROUTED"), HasSubstr("25 %")));
}

TEST_F(JobCommandsTest, ATerminalGetsBarsAndColoursUnlessToldNotTo) {
  fake.jobs = {TrainingJob()};
  Terminal terminal{.is_terminal = true, .utf8 = true, .columns = 200};
  EXPECT_THAT(Ctl("job get tiny", terminal).out,
              AllOf(HasSubstr("\x1b[32mRUNNING\x1b[0m"), HasSubstr("███░"),
                    HasSubstr("█▇▃▁")));
  terminal.variables = {{"NO_COLOR", "1"}};
  EXPECT_THAT(Ctl("job get tiny", terminal).out, Not(HasSubstr("\x1b[3")));
}

TEST_F(JobCommandsTest, ALongReasonIsCutAtTheEdgeOfATerminalOnly) {
  fake.jobs = {TrainingJob()};
  fake.jobs[0].set_reason(std::string(200, 'x'));
  const Terminal terminal{
      .is_terminal = true, .columns = 100, .variables = {{"NO_COLOR", "1"}}};
  for (const auto line : absl::StrSplit(Ctl("job list", terminal).out, '\n')) {
    EXPECT_LE(line.size(), 100u) << line;
  }
  EXPECT_THAT(Ctl("job list").out, HasSubstr(std::string(200, 'x')));
}

TEST_F(JobCommandsTest, AReasonWithoutRoomHasALineOfItsOwn) {
  fake.jobs = {Named(std::string(30, 'n'), Job::RUNNING)};
  fake.jobs[0].set_reason(std::string(200, 'x'));
  const Terminal terminal{.is_terminal = true,
                          .variables = {{"NO_COLOR", "1"}}};
  const std::string out = Ctl("job list", terminal).out;
  const std::vector<std::string> lines = absl::StrSplit(out, '\n');
  EXPECT_THAT(lines,
              ElementsAre(AllOf(StartsWith("NAME "), Not(HasSubstr("REASON"))),
                          StartsWith(std::string(30, 'n')),
                          "    " + std::string(73, 'x') + "...", ""));
}

TEST_F(JobCommandsTest, AReasonOfSeveralLinesIsOneInATable) {
  fake.jobs = {TrainingJob()};
  fake.jobs[0].set_reason("it ended:\n  at a\n\tat b\n");
  EXPECT_THAT(Ctl("job list").out, HasSubstr("  it ended: at a at b\n"));
  EXPECT_EQ(
      nlohmann::json::parse(Ctl("job list -o json").out)["jobs"][0]["reason"],
      "it ended:\n  at a\n\tat b\n");
}

TEST_F(JobCommandsTest, GetPrintsTheJobFileThatWouldSubmitItAgain) {
  fake.jobs = {TrainingJob()};
  const Outcome outcome = Ctl("job get tiny --job-file");
  LORY_ASSERT_OK_AND_ASSIGN(
      const config::JobFile file,
      config::ParseJobFile(outcome.out, "again.yaml", {}));
  EXPECT_EQ(file.name, "tiny");
  EXPECT_EQ(file.spec.DebugString(), TrainingJob().spec().DebugString());
}

TEST_F(JobCommandsTest, AMissingJobIsExitCodeThreeAndShowsTheWay) {
  for (const char* verb : {"get", "pause", "cancel"}) {
    const Outcome outcome = Ctl(absl::StrCat("job ", verb, " nobody"));
    EXPECT_EQ(outcome.code, 3);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_EQ(outcome.err, "error: no jobs/nobody\ntry: loryctl job list\n");
  }
}

TEST_F(JobCommandsTest, VerbsNameTheJobAndItsNewState) {
  fake.jobs = {Named("tiny", Job::PAUSING)};
  const Outcome outcome = Ctl("job pause jobs/tiny");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "jobs/tiny\n");
  EXPECT_EQ(outcome.err, "tiny pauses: PAUSING, both members train\n");
  EXPECT_THAT(fake.requests(),
              ElementsAre(AllOf(StartsWith("PauseJob name: \"jobs/tiny\""),
                                HasSubstr("request_id: "))));
}

TEST_F(JobCommandsTest, AVerbAtTheWrongTimeIsExitCodeFive) {
  fake.errors["DeleteJob"] =
      ErrorWithReason(absl::StatusCode::kFailedPrecondition, "JOB_NOT_FINAL",
                      "tiny still runs");
  const Outcome outcome = Ctl("job delete tiny");
  EXPECT_EQ(outcome.code, 5);
  EXPECT_EQ(outcome.err,
            "error: tiny still runs\nreason: JOB_NOT_FINAL\n"
            "try: cancel it first: loryctl job cancel tiny\n");
}

TEST_F(JobCommandsTest, UpdateSendsOnlyWhatWasGiven) {
  fake.jobs = {TrainingJob()};
  EXPECT_EQ(Ctl("job update tiny --max-workers 4 --priority -3").code, 0);
  EXPECT_THAT(fake.requests(),
              ElementsAre(AllOf(
                  HasSubstr("spec { max_workers: 4 priority: -3 }"),
                  HasSubstr("paths: \"max_workers\" paths: \"priority\""))));
  EXPECT_EQ(Ctl("job update tiny").code, 2);
}

TEST_F(JobCommandsTest, WhatAnUpdateMayNotIsToldOnceByTheKeyOfTheFile) {
  fake.errors["UpdateJob"] =
      FieldErrors({{"spec.micro_batch_count", "4 is below max_workers (8)"},
                   {"spec.max_workers", "8 are too many today"}});
  const Outcome outcome = Ctl("job update tiny --max-workers 8");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err,
            "error: micro_batches: 4 is below max_workers (8)\n"
            "       max_workers: 8 are too many today\n");
}

TEST_F(JobCommandsTest, ExplainPrintsSentences) {
  fake.sentences = {"waits for 1 slot", "worker-a has none free"};
  EXPECT_EQ(Ctl("job explain tiny").out,
            "waits for 1 slot\nworker-a has none free\n");
}

TEST_F(JobCommandsTest, TimelineShowsHowLongThingsTook) {
  Happened(JobEvent::STATE_CHANGED, 1000, "QUEUED");
  Happened(JobEvent::STATE_CHANGED, 1002, "RUNNING");
  Happened(JobEvent::RECOVERED, 1060, "worker-b was lost", "2.25");
  const Outcome outcome = Ctl("job timeline tiny --utc");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "TIME                 AFTER  TOOK      EVENT          GENERATION  "
            "STEP  MESSAGE\n"
            "1970-01-01 00:16:40   0.0s  2.0s      STATE_CHANGED              "
            "      QUEUED\n"
            "1970-01-01 00:16:42   2.0s            STATE_CHANGED              "
            "      RUNNING\n"
            "1970-01-01 00:17:40  1m00s  2.2s  >>  RECOVERED                  "
            "      worker-b was lost\n");
  EXPECT_EQ(outcome.err, "1 recovery, 2.2s in all\n");
  EXPECT_EQ(
      nlohmann::json::parse(Ctl("job timeline tiny -o json").out)["events"]
          .size(),
      3u);
}

TEST_F(JobCommandsTest, LogsNameTheTrainerOfEachLine) {
  lory::v1::LogChunk chunk;
  chunk.set_worker("workers/worker-a");
  chunk.set_slot(1);
  chunk.set_text("first\nsecond\n");
  fake.logs = {chunk};
  EXPECT_EQ(Ctl("job logs tiny --tail 5").out,
            "worker-a/1 | first\nworker-a/1 | second\n");
  EXPECT_THAT(fake.requests(), ElementsAre(HasSubstr("tail_lines: 5")));
}

TEST_F(JobCommandsTest, PlotDrawsTheLossOfTheMetricsFile) {
  const testing::TemporaryFolder folder;
  std::string lines;
  for (int step = 0; step <= 100; ++step) {
    absl::StrAppend(&lines, R"({"step":)", step, R"(,"loss":)",
                    8.0 - 0.05 * step, "}\n");
  }
  const std::string path = folder.Write("steps.jsonl", lines + "{\"step\": 1");
  const Outcome outcome = Ctl(
      absl::StrCat("job plot tiny --rows 4 --file ", path), {.columns = 40});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(StartsWith("loss by step: first 8.0000, last 3.0000\n"),
                    HasSubstr("|*"), HasSubstr("+----")));
  const auto json = nlohmann::json::parse(
      Ctl(absl::StrCat("job plot tiny -o json --file ", path)).out);
  EXPECT_EQ(json["points"].size(), 101u);
  const Outcome nothing =
      Ctl(absl::StrCat("job plot tiny --field nothing --file ", path));
  EXPECT_EQ(nothing.code, 2);
  EXPECT_THAT(nothing.err,
              HasSubstr("steps have no number 'nothing'; they have loss"));
}

TEST_F(JobCommandsTest, PlotShowsSmallNumbersWithTheirDigits) {
  const testing::TemporaryFolder folder;
  // 0.0001967 - 0.0001967 * 3 / 3 is not 0.
  const std::string path = folder.Write(
      "steps.jsonl",
      "{\"step\":1,\"rate\":6e-05,\"stall\":0,\"tokens\":36203.70111}\n"
      "{\"step\":2,\"rate\":0.0006,\"stall\":0.0001967,\"tokens\":36942}\n");
  const auto plot = [&](const std::string& field) {
    return Ctl(absl::StrCat("job plot tiny --rows 4 --field ", field,
                            " --file ", path),
               {.columns = 40})
        .out;
  };
  EXPECT_THAT(plot("rate"),
              StartsWith("rate by step: first 6e-05, last 0.0006"));
  EXPECT_THAT(plot("tokens"),
              StartsWith("tokens by step: first 36203.7, last 36942\n"));
  EXPECT_THAT(plot("stall"),
              AllOf(HasSubstr("\n        0 |"), Not(HasSubstr("e-2"))));
}

TEST_F(JobCommandsTest, PlotFindsTheFileByTheJobsCheckpoints) {
  const testing::TemporaryFolder folder;
  folder.Write("jobs/tiny/metrics/steps.jsonl",
               "{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":1}\n");
  const Outcome none = Ctl("job plot tiny");
  EXPECT_EQ(none.code, 3);
  EXPECT_THAT(none.err,
              HasSubstr("try: loryctl job plot tiny --live, or name "));
  fake.Change([&] {
    fake.jobs = {TrainingJob()};
    fake.jobs.front().set_state(Job::CANCELLED);
  });
  EXPECT_THAT(Ctl("job plot tiny").err,
              HasSubstr("try: name the job folder's"));
  fake.Change([&] {
    fake.checkpoints.emplace_back().set_folder(
        folder.At("jobs/tiny/checkpoints/step-2.gen-1"));
  });
  EXPECT_THAT(Ctl("job plot tiny").out, HasSubstr("first 2.0000, last 1.0000"));
}

TEST_F(JobCommandsTest, PlotLiveCollectsWhatItSees) {
  Job job = TrainingJob();
  fake.watched.push_back(job);
  job.mutable_progress()->set_step(121);
  job.mutable_progress()->set_loss(4);
  fake.watched.push_back(job);
  EXPECT_THAT(Ctl("job plot tiny --live").out,
              HasSubstr("first 4.5125, last 4.0000"));
}

}  // namespace
}  // namespace lory::ctl
