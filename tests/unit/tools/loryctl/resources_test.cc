#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/error_detail.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/loryctl/fake_service.h"

// Workers, datasets and checkpoints.
namespace lory::ctl {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::Dataset;
using ::lory::v1::TrainerStatus;
using ::lory::v1::Worker;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct ResourcesTest : ::testing::Test {
  Outcome Ctl(absl::string_view arguments) {
    if (!started_) fake.Start();
    started_ = true;
    std::vector<std::string> words = {"--server", fake.address()};
    for (const auto word : absl::StrSplit(arguments, ' ')) {
      words.emplace_back(word);
    }
    return Loryctl(words);
  }

  FakeService fake;

 private:
  bool started_ = false;
};

Worker WorkerNamed(const std::string& name, Worker::State state) {
  Worker worker;
  worker.set_name(absl::StrCat("workers/", name));
  worker.set_state(state);
  worker.set_reason("attends");
  worker.mutable_last_heard_time()->set_seconds(999'999);
  auto& host = *worker.mutable_description();
  host.set_version(LORY_VERSION);
  host.set_slot_count(2);
  host.set_device_kind("cpu");
  host.set_core_count(8);
  host.set_memory_bytes(16LL << 30);
  TrainerStatus* trainer = worker.add_trainers();
  trainer->set_job("jobs/tiny");
  trainer->set_phase(TrainerStatus::TRAINING);
  trainer->set_generation(2);
  trainer->set_applied_step(120);
  trainer->set_process_id(4711);
  trainer->set_micro_batch_seconds(0.0625);
  return worker;
}

TEST_F(ResourcesTest, WorkersAreListedWithTheirJobs) {
  fake.workers = {WorkerNamed("worker-a", Worker::READY),
                  WorkerNamed("worker-b", Worker::LOST),
                  WorkerNamed("worker-c", Worker::DRAINED)};
  EXPECT_EQ(Ctl("worker list").out,
            "NAME      STATE    SLOTS  DEVICE  CORES    MEMORY  JOBS     HEARD"
            "  REASON\n"
            "worker-a  READY        2  cpu         8  16.0 GiB  tiny  1.0s ago"
            "  attends\n"
            "worker-b  LOST         2  cpu         8  16.0 GiB  tiny  1.0s ago"
            "  attends\n"
            "worker-c  DRAINED      2  cpu         8  16.0 GiB  tiny  1.0s ago"
            "  attends\n");
  EXPECT_EQ(Ctl("workers list -o name").out,
            "workers/worker-a\nworkers/worker-b\nworkers/worker-c\n");
}

TEST_F(ResourcesTest, AWorkerShowsItsTrainers) {
  fake.workers = {WorkerNamed("worker-a", Worker::READY)};
  EXPECT_THAT(Ctl("worker get worker-a").out,
              AllOf(StartsWith("worker-a  READY  attends\n"),
                    HasSubstr("tiny  TRAINING           2   120     4711      "
                              "62.5 ms")));
  const auto json =
      nlohmann::json::parse(Ctl("worker get worker-a -o json").out);
  EXPECT_EQ(json["trainers"][0]["process_id"], "4711");
  EXPECT_EQ(json["trainers"][0]["phase"], "TRAINING");
  EXPECT_EQ(Ctl("worker get nobody").code, 3);
}

TEST_F(ResourcesTest, DrainAndUndrainNameTheWorker) {
  fake.workers = {WorkerNamed("worker-a", Worker::DRAINING)};
  EXPECT_EQ(Ctl("worker drain worker-a").out, "workers/worker-a\n");
  EXPECT_EQ(Ctl("worker undrain worker-a").code, 0);
  EXPECT_THAT(fake.requests(),
              ElementsAre(StartsWith("DrainWorker name: \"workers/worker-a\""),
                          StartsWith("UndrainWorker ")));
}

TEST_F(ResourcesTest, AWorkerThatIsGoneIsForgottenAndALivingOneIsNot) {
  fake.workers = {WorkerNamed("worker-a", Worker::LOST)};
  const Outcome gone = Ctl("worker delete worker-a");
  EXPECT_EQ(gone.out, "workers/worker-a\n");
  EXPECT_EQ(gone.err, "worker-a is forgotten\n");
  EXPECT_THAT(
      fake.requests(),
      ElementsAre(StartsWith("DeleteWorker name: \"workers/worker-a\"")));
  fake.errors["DeleteWorker"] =
      ErrorWithReason(absl::StatusCode::kFailedPrecondition, "WORKER_ALIVE",
                      "workers/worker-a attends");
  const Outcome alive = Ctl("worker delete worker-a");
  EXPECT_EQ(alive.code, 5);
  EXPECT_THAT(alive.err, HasSubstr("reason: WORKER_ALIVE"));
}

Dataset Demo() {
  Dataset dataset;
  dataset.set_name("datasets/demo");
  dataset.set_state(Dataset::READY);
  dataset.set_token_count(1'234'567);
  dataset.set_sequence_count(4822);
  dataset.set_sequence_length(256);
  dataset.set_vocabulary_size(4096);
  dataset.set_order("similarity");
  dataset.add_domains("code");
  dataset.add_domains("verse");
  return dataset;
}

TEST_F(ResourcesTest, ADatasetIsRegisteredByAnAbsolutePath) {
  fake.datasets = {Demo()};
  const Outcome outcome = Ctl("dataset register demo /data/x/../m.json");
  EXPECT_EQ(outcome.out, "datasets/demo\n");
  EXPECT_EQ(outcome.err, "demo: 1,234,567 tokens in 4,822 sequences of 256\n");
  EXPECT_THAT(fake.requests(),
              ElementsAre(HasSubstr("manifest_path: \"/data/m.json\"")));
  EXPECT_EQ(Ctl("dataset list").out,
            "NAME  STATE     TOKENS  SEQUENCES  LENGTH  VOCABULARY  ORDER     "
            "  DOMAINS\n"
            "demo  READY  1,234,567      4,822     256       4,096  similarity"
            "  code, verse\n");
}

TEST_F(ResourcesTest, ADatasetErrorSaysWhatMendsIt) {
  fake.errors["CreateDataset"] =
      absl::PermissionDeniedError("/etc/passwd is not beneath a data root");
  Outcome outcome = Ctl("dataset register demo /etc/passwd");
  EXPECT_EQ(outcome.code, 8);
  EXPECT_THAT(outcome.err, HasSubstr("try: start lory-coordinator and "
                                     "lory-worker with --data-root"));
  fake.errors["DeleteDataset"] =
      absl::FailedPreconditionError("jobs/tiny uses it");
  outcome = Ctl("dataset delete demo");
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err, HasSubstr("cancel the jobs"));
}

Checkpoint At(int64_t step, Checkpoint::State state) {
  Checkpoint checkpoint;
  checkpoint.set_name(absl::StrCat("jobs/tiny/checkpoints/", step));
  checkpoint.set_state(state);
  checkpoint.set_step(step);
  checkpoint.set_generation(2);
  checkpoint.set_size_bytes(3 << 20);
  checkpoint.set_sample_digest(std::string(32, '\xab'));
  checkpoint.mutable_commit_time()->set_seconds(999'000);
  checkpoint.set_reason("both parts are in");
  checkpoint.add_parts()->set_file("part-0-of-1.safetensors");
  return checkpoint;
}

TEST_F(ResourcesTest, CheckpointsAreListedNewestFirst) {
  fake.checkpoints = {At(200, Checkpoint::WRITING),
                      At(100, Checkpoint::COMMITTED)};
  EXPECT_EQ(Ctl("checkpoint list tiny").out,
            "STEP  STATE      GENERATION     SIZE  PARTS     AGE  SAMPLES     "
            "      REASON\n"
            " 200  WRITING             2  3.0 MiB      1  16m40s  "
            "abababababababab  both parts are in\n"
            " 100  COMMITTED           2  3.0 MiB      1  16m40s  "
            "abababababababab  both parts are in\n");
}

TEST_F(ResourcesTest, ACheckpointHasManyNames) {
  fake.checkpoints = {At(200, Checkpoint::WRITING),
                      At(100, Checkpoint::COMMITTED)};
  for (const char* name : {"tiny", "tiny 100", "tiny/100", "jobs/tiny 100",
                           "jobs/tiny/checkpoints/100"}) {
    EXPECT_EQ(Ctl(absl::StrCat("checkpoint get ", name, " -o name")).out,
              "jobs/tiny/checkpoints/100\n")
        << name;
  }
  EXPECT_EQ(Ctl("checkpoint get tiny 7").code, 3);
  EXPECT_EQ(Ctl("checkpoint get tiny seven").code, 2);
}

TEST_F(ResourcesTest, ADamagedCheckpointIsAnErrorOfItsOwn) {
  fake.checkpoints = {At(100, Checkpoint::DAMAGED)};
  fake.checkpoints[0].set_reason("part-0 was altered");
  const Outcome outcome = Ctl("checkpoint verify tiny 100");
  EXPECT_EQ(outcome.code, 6);
  EXPECT_THAT(outcome.err, HasSubstr("part-0 was altered"));
  fake.Change([this] { fake.checkpoints[0].set_state(Checkpoint::COMMITTED); });
  EXPECT_EQ(Ctl("checkpoint verify tiny 100").code, 0);
}

TEST_F(ResourcesTest, NoCheckpointIsDeletedWithoutItsStep) {
  fake.checkpoints = {At(100, Checkpoint::COMMITTED)};
  const Outcome outcome = Ctl("checkpoint delete tiny");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(fake.requests(), IsEmpty());
  EXPECT_EQ(Ctl("checkpoint delete tiny 100").out,
            "jobs/tiny/checkpoints/100\n");
}

TEST_F(ResourcesTest, TheDoctorLooksAtEverything) {
  fake.workers = {WorkerNamed("worker-a", Worker::READY),
                  WorkerNamed("worker-b", Worker::LOST)};
  const Outcome outcome = Ctl("doctor");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("ok       coordinator    127"),
            HasSubstr("warning  workers        2, lost: worker-b"),
            HasSubstr(
                "ok       version        coordinator and loryctl " LORY_VERSION
                "\n"),
            HasSubstr("clocks         the coordinator's and this host's "
                      "differ by 1.0s\n")));
}

TEST_F(ResourcesTest, TheDoctorTellsWhereNoTrainerStarts) {
  Worker bad = WorkerNamed("worker-a", Worker::READY);
  TrainerStatus* trainer = bad.mutable_trainers(0);
  trainer->set_phase(TrainerStatus::EXITED);
  trainer->set_error("exited with status 127:\nno libtorch.so");
  trainer->set_exit_status(127);
  fake.workers = {bad, WorkerNamed("worker-b", Worker::READY)};
  fake.jobs = {TrainingJob()};
  for (const int64_t seconds : {999'000, 999'900}) {
    lory::v1::JobEvent barred;
    barred.set_kind(lory::v1::JobEvent::SLOT_BARRED);
    barred.mutable_time()->set_seconds(seconds);
    barred.set_message("worker-a slot 0 is not used for this job");
    fake.events.push_back(barred);
  }
  lory::v1::JobEvent over = fake.events.back();
  over.mutable_time()->set_seconds(999'600);
  over.set_message("worker-c slot 0 is not used for this job for some minutes");
  (*over.mutable_attributes())["seconds"] = "300";
  fake.events.push_back(over);
  fake.events.emplace_back().set_message("worker-b is fine");
  const Outcome outcome = Ctl("doctor");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("warning  trainers       worker-a slot 0, of tiny: "
                      "exited with status 127: no libtorch.so\n"),
            HasSubstr("warning  trainers       tiny, 1m40s ago: worker-a slot "
                      "0 is not used for this job\n"),
            Not(HasSubstr("16m40s")), Not(HasSubstr("worker-b")),
            Not(HasSubstr("worker-c"))));
  // A job that was paused since may use the slot again.
  fake.Change([this] {
    lory::v1::JobEvent& paused = fake.events.emplace_back();
    paused.set_kind(lory::v1::JobEvent::STATE_CHANGED);
    (*paused.mutable_attributes())["state"] = "PAUSED";
  });
  EXPECT_THAT(Ctl("doctor").out, Not(HasSubstr("is not used for this job")));
  // Of jobs that have ended nothing can be mended.
  fake.Change([this] {
    fake.jobs[0].set_state(lory::v1::Job::SUCCEEDED);
    fake.workers[0].mutable_trainers(0)->clear_error();
  });
  EXPECT_THAT(Ctl("doctor").out, Not(HasSubstr("trainers")));
}

TEST_F(ResourcesTest, ProgramsReadWhatTheDoctorFinds) {
  fake.workers = {WorkerNamed("worker-b", Worker::LOST)};
  const Outcome outcome = Ctl("doctor -o json");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto found = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(found.is_object()) << outcome.out;
  std::map<std::string, std::string> findings;
  for (const auto& item : found["findings"]) {
    findings[item["check"]] = absl::StrCat(std::string(item["finding"]), ": ",
                                           std::string(item["message"]));
  }
  EXPECT_THAT(findings["coordinator"], StartsWith("ok: "));
  EXPECT_THAT(findings["workers"], StartsWith("warning: 1, lost: worker-b"));
  EXPECT_EQ(Ctl("doctor -o yaml").code, 2);
}

TEST_F(ResourcesTest, TheDoctorTellsThatNoWorkerTakesWork) {
  fake.workers = {WorkerNamed("worker-b", Worker::DRAINED)};
  EXPECT_THAT(Ctl("doctor").out,
              HasSubstr("warning  workers        1, none lost, but none takes "
                        "work: loryctl worker list\n"));
  fake.Change([this] { fake.workers.clear(); });
  EXPECT_THAT(Ctl("doctor").out, HasSubstr("warning  workers        0, none "));
}

TEST_F(ResourcesTest, TheDoctorTellsReleasesApart) {
  Worker old = WorkerNamed("worker-a", Worker::READY);
  old.mutable_description()->set_version("0.0.8");
  fake.workers = {old};
  fake.server_info.set_version("0.0.9");
  fake.server_info.mutable_time()->set_seconds(990'000);
  const Outcome outcome = Ctl("doctor");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("warning  version        the coordinator has 0.0.9, this "
                      "loryctl " LORY_VERSION
                      ": install the same release on both\n"),
            HasSubstr("warning  workers        the coordinator has 0.0.9, but "
                      "worker-a has 0.0.8: install the same release on all\n"),
            HasSubstr("warning  clocks")));
}

TEST_F(ResourcesTest, ACoordinatorThatDoesNotSayItsVersionIsOld) {
  fake.errors["GetServerInfo"] = absl::UnimplementedError("");
  const Outcome outcome = Ctl("doctor");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              HasSubstr("warning  version        loryctl " LORY_VERSION
                        ", but the coordinator is too old to say"));
}

TEST_F(ResourcesTest, CompletionKnowsCommandsOptionsAndNames) {
  fake.workers = {WorkerNamed("worker-a", Worker::READY)};
  fake.jobs = {TrainingJob()};
  fake.Start();
  const auto complete = [&](absl::string_view text) {
    std::vector<std::string> words = {"__complete", "-s", fake.address()};
    for (const auto word : absl::StrSplit(text, ' ')) words.emplace_back(word);
    return Loryctl(words).out;
  };
  EXPECT_THAT(complete(""), HasSubstr("checkpoint\n"));
  EXPECT_EQ(complete("job ti"), "timeline\n");
  EXPECT_EQ(complete("job get "), "tiny\n");
  EXPECT_EQ(complete("job get tiny "), "");
  EXPECT_EQ(complete("worker drain w"), "worker-a\n");
  EXPECT_EQ(complete("job list -o j"), "json\n");
  EXPECT_EQ(complete("job submit --dr"), "--dry-run\n");
  EXPECT_EQ(complete("job submit -f "), "");
}

}  // namespace
}  // namespace lory::ctl
