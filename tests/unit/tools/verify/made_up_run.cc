#include "tests/unit/tools/verify/made_up_run.h"

#include <numeric>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/data/sample_digest.h"

namespace lory::verify {
namespace {

using ::lory::v1::Job;
constexpr char kJob[] = "jobs/tiny";

}  // namespace

MadeUpRun::MadeUpRun() {
  AddJob();
  AddState(Job::STARTING);
  AddOpened(1);
  AddStarted(1, 0, -1);
  AddState(Job::RUNNING);
  AddCommit(2, 1);
  AddEnded(1, /*by_fault=*/true);
  AddState(Job::RECOVERING);
  AddOpened(2);
  auto* second = AddStarted(2, kTakeover, 0);
  second->mutable_members(1)->set_worker("workers/c");
  AddState(Job::RUNNING);
  AddCommit(kSteps, 2);
  AddState(Job::SUCCEEDED);

  for (int64_t step = 0; step < kTakeover; ++step) {
    trace.lines.push_back(Line("a-0.jsonl", 1, step));
    trace.lines.push_back(Line("b-0.jsonl", 1, step));
  }
  trace.lines.push_back(Line("b-0.jsonl", 1, kTakeover));
  for (int64_t step = kTakeover; step < kSteps; ++step) {
    trace.lines.push_back(Line("a-0.jsonl", 2, step));
    trace.lines.push_back(Line("c-0.jsonl", 2, step));
  }
}

void MadeUpRun::AddJob() {
  auto* dataset =
      records.emplace_back().mutable_dataset_created()->mutable_dataset();
  dataset->set_name("datasets/demo");
  dataset->set_sequence_count(10);
  Job* job = records.emplace_back().mutable_job_created()->mutable_job();
  job->set_name(kJob);
  job->set_state(Job::QUEUED);
  lory::v1::JobSpec* spec = job->mutable_spec();
  spec->set_dataset("datasets/demo");
  spec->set_seed(7);
  spec->set_step_count(kSteps);
  spec->set_micro_batch_count(4);
  spec->set_micro_batch_sequences(2);
  spec->set_min_workers(2);
  lory::v1::ModelSpec* model = spec->mutable_model();
  model->set_vocabulary_size(16);
  model->set_layer_count(1);
  model->set_width(8);
  model->set_head_count(2);
  model->set_feed_forward_width(8);
  model->set_sequence_length(8);
  model->mutable_feed_forward()->mutable_dense();
}

void MadeUpRun::AddState(Job::State state) {
  auto* change = records.emplace_back().mutable_job_state_changed();
  change->set_job(kJob);
  change->set_state(state);
}

void MadeUpRun::AddOpened(int64_t generation) {
  auto* opened = records.emplace_back().mutable_generation_opened();
  opened->set_job(kJob);
  opened->set_generation(generation);
}

lory::internal::v1::GenerationStarted* MadeUpRun::AddStarted(int64_t generation,
                                                             int64_t start_step,
                                                             int source_rank) {
  auto* started = records.emplace_back().mutable_generation_started();
  started->set_job(kJob);
  started->set_generation(generation);
  started->set_start_step(start_step);
  started->set_source_rank(source_rank);
  started->set_restored_checkpoint_step(-1);
  for (const char* worker : {"workers/a", "workers/b"}) {
    auto* member = started->add_members();
    member->set_rank(started->members_size() - 1);
    member->set_worker(worker);
  }
  return started;
}

void MadeUpRun::AddEnded(int64_t generation, bool by_fault) {
  auto* ended = records.emplace_back().mutable_generation_ended();
  ended->set_job(kJob);
  ended->set_generation(generation);
  ended->set_by_fault(by_fault);
}

lory::v1::Checkpoint* MadeUpRun::AddCommit(int64_t step, int64_t generation) {
  auto* committed = records.emplace_back().mutable_checkpoint_committed();
  committed->set_job(kJob);
  lory::v1::Checkpoint* checkpoint = committed->mutable_checkpoint();
  checkpoint->set_name(absl::StrCat(kJob, "/checkpoints/", step));
  checkpoint->set_state(lory::v1::Checkpoint::COMMITTED);
  checkpoint->set_step(step);
  checkpoint->set_generation(generation);
  checkpoint->set_sample_digest(Chain(step));
  return checkpoint;
}

JobHistory MadeUpRun::History() const {
  auto history = CollectHistory(records, kJob);
  LORY_CHECK(history.ok());
  return *std::move(history);
}

SampleGrid MadeUpRun::Grid() const {
  return {.seed = 7,
          .sequence_count = 10,
          .step_count = kSteps,
          .micro_batches = 4,
          .micro_batch_sequences = 2};
}

std::string MadeUpRun::Chain(int64_t steps) const {
  std::string digest = data::InitialDigest();
  for (int64_t step = 0; step < steps; ++step) {
    digest = data::NextDigest(digest, step,
                              data::ExpectedFingerprintSum(7, 10, step, 8));
  }
  return digest;
}

TraceLine MadeUpRun::Line(const std::string& file, int64_t generation,
                          int64_t step) const {
  TraceLine line;
  line.file = file;
  line.line = step + 1;
  line.step = step;
  line.generation = generation;
  line.shares = {1, 3};
  int64_t first = 0;
  for (const int64_t share : line.shares) {
    const auto prints = Grid().Fingerprints(step, first, share);
    line.sums.push_back(
        std::accumulate(prints.begin(), prints.end(), uint64_t{0}));
    first += share;
  }
  line.digest = Chain(step + 1);
  return line;
}

std::string ToJsonLine(const TraceLine& line) {
  const std::string sums =
      absl::StrJoin(line.sums, ",", [](std::string* out, uint64_t sum) {
        absl::StrAppendFormat(out, "\"%016x\"", sum);
      });
  return absl::StrFormat(
      "{\"step\":%d,\"generation\":%d,\"sums\":[%s],\"shares\":[%s],"
      "\"digest\":\"%s\"}\n",
      line.step, line.generation, sums, absl::StrJoin(line.shares, ","),
      absl::BytesToHexString(line.digest));
}

bool Failed(const std::vector<Verdict>& verdicts, const std::string& part) {
  for (const Verdict& verdict : verdicts) {
    if (absl::StrContains(verdict.invariant(), part)) return !verdict.ok();
  }
  return true;
}

}  // namespace lory::verify
