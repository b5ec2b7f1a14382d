#include "tests/support/cluster.h"

#include <poll.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/data/sample_digest.h"
#include "common/io/storage.h"
#include "common/rpc/channel.h"
#include "common/rpc/status_convert.h"
#include "nlohmann/json.hpp"
#include "tests/support/tiny_dataset.h"

namespace lory::testing {
namespace {

constexpr int kStartLimitMs = 20'000;
constexpr int kLookMs = 5;
constexpr int64_t kSequences = 100;

// Calls that the coordinator's restarts may interrupt are tried again.
void SetDeadline(grpc::ClientContext* context) {
  context->set_wait_for_ready(true);
  context->set_deadline(
      absl::ToChronoTime(RealClock().WallNow() + absl::Seconds(20)));
}

// Nothing changes any more.
bool IsOver(const lory::v1::Job& job) {
  return job.state() == lory::v1::Job::SUCCEEDED ||
         job.state() == lory::v1::Job::CANCELLED ||
         job.state() == lory::v1::Job::FAILED;
}

}  // namespace

Cluster::Cluster(const Binaries& binaries) : binaries_(binaries) {
  for (const char* name : {"data", "storage"}) {
    std::filesystem::create_directory(folder_.At(name));
  }
  manifest_path_ =
      WriteTinyDataset(folder_.At("data"), {.sequence_count = kSequences,
                                            .sequence_length = 16,
                                            .vocabulary_size = 64});
  StartCoordinator();
  auto channel = rpc::OpenChannel(address_, {});
  LORY_CHECK(channel.ok());
  jobs_ = lory::v1::JobService::NewStub(*channel);
  datasets_ = lory::v1::DatasetService::NewStub(*channel);
  workers_ = lory::v1::WorkerAdminService::NewStub(*channel);
  grpc::ClientContext context;
  SetDeadline(&context);
  lory::v1::CreateDatasetRequest request;
  request.set_dataset_id("tiny");
  request.set_manifest_path(manifest_path_);
  lory::v1::Dataset dataset;
  const grpc::Status status =
      datasets_->CreateDataset(&context, request, &dataset);
  if (!status.ok()) std::fputs(status.error_message().c_str(), stderr);
  LORY_CHECK(status.ok());
}

Cluster::~Cluster() {
  // Workers first: they would complain about the coordinator's end.
  while (!processes_.empty()) processes_.erase(std::prev(processes_.end()));
}

void Cluster::Drain(Process& process) {
  for (std::string piece = process.process->ReadOutput(); !piece.empty();
       piece = process.process->ReadOutput()) {
    process.output += piece;
  }
}

void Cluster::Start(const std::string& name, const std::string& binary,
                    std::vector<std::string> arguments) {
  const std::string ready = folder_.At(name + ".ready.json");
  std::filesystem::remove(ready);
  for (const std::string& argument :
       {std::string("--http"), std::string("127.0.0.1:0"),
        std::string("--data-root"), folder_.At("data"),
        std::string("--storage-root"), folder_.At("storage"),
        std::string("--ready-file"), ready}) {
    arguments.push_back(argument);
  }
  auto started = daemon::TrainerProcess::Start(
      {.binary = binary, .arguments = std::move(arguments)});
  LORY_CHECK(started.ok());
  Process& process = processes_[name];
  process.process = *std::move(started);
  for (int waited = 0; !std::filesystem::exists(ready); waited += kLookMs) {
    pollfd end = {process.process->end_fd(), POLLIN, 0};
    const bool ended = ::poll(&end, 1, kLookMs) == 1;
    Drain(process);
    if (ended || waited > kStartLimitMs) {
      std::fputs(process.output.c_str(), stderr);
      LORY_CHECK(!ended && waited <= kStartLimitMs);
    }
  }
}

void Cluster::StartCoordinator() {
  Start("coordinator", binaries_.coordinator,
        {"--listen", address_, "--state", folder_.At("state"), "--heartbeat",
         "200ms", "--lease", "2s", "--round-seconds", "2s"});
  const auto ready = nlohmann::json::parse(
      *io::LocalStorage().Read(folder_.At("coordinator.ready.json")));
  address_ = ready["grpc"];
}

void Cluster::StartWorker(const std::string& name) {
  Start(name, binaries_.worker,
        {"--coordinator", address_, "--name", name, "--slots", "1", "--threads",
         "1", "--trainer", binaries_.trainer, "--work", folder_.At(name)});
}

void Cluster::Kill(const std::string& name) {
  Process& process = processes_.at(name);
  process.process->Signal(SIGKILL);
  (void)process.process->Wait();
  Drain(process);
}

void Cluster::KillCoordinator() { Kill("coordinator"); }

void Cluster::KillWorker(const std::string& name) { Kill(name); }

int Cluster::StopWorker(const std::string& name) {
  Process& process = processes_.at(name);
  process.process->Signal(SIGTERM);
  const int status = process.process->Wait().exit_status;
  Drain(process);
  return status;
}

std::string Cluster::Log(const std::string& name) {
  Drain(processes_.at(name));
  return processes_.at(name).output;
}

lory::v1::JobSpec Cluster::Spec(int64_t steps, int32_t workers) const {
  lory::v1::JobSpec spec;
  spec.set_dataset("datasets/tiny");
  spec.set_step_count(steps);
  spec.set_micro_batch_count(4);
  spec.set_micro_batch_sequences(2);
  spec.set_seed(7);
  spec.set_min_workers(workers);
  spec.mutable_checkpoint()->set_every_steps(20);
  (*spec.mutable_labels())["fake-step-ms"] = "20";
  lory::v1::ModelSpec& model = *spec.mutable_model();
  model.set_vocabulary_size(64);
  model.set_layer_count(1);
  model.set_width(16);
  model.set_head_count(2);
  model.set_feed_forward_width(16);
  model.set_sequence_length(16);
  model.mutable_feed_forward()->mutable_dense();
  spec.mutable_optimizer()->set_peak_learning_rate(0.001);
  return spec;
}

absl::StatusOr<lory::v1::Job> Cluster::Submit(const std::string& id,
                                              const lory::v1::JobSpec& spec) {
  grpc::ClientContext context;
  SetDeadline(&context);
  lory::v1::CreateJobRequest request;
  request.set_job_id(id);
  request.set_request_id(RandomUuid());
  *request.mutable_spec() = spec;
  lory::v1::Job job;
  const absl::Status status =
      rpc::FromGrpc(jobs_->CreateJob(&context, request, &job));
  if (!status.ok()) return status;
  return job;
}

absl::StatusOr<lory::v1::Job> Cluster::GetJob(const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(&context);
  lory::v1::GetJobRequest request;
  request.set_name("jobs/" + id);
  lory::v1::Job job;
  const absl::Status status =
      rpc::FromGrpc(jobs_->GetJob(&context, request, &job));
  if (!status.ok()) return status;
  return job;
}

absl::StatusOr<lory::v1::Job> Cluster::WaitForJob(
    const std::string& id,
    const std::function<bool(const lory::v1::Job&)>& is_so,
    absl::Duration limit) {
  const absl::Time end = RealClock().MonotonicNow() + limit;
  absl::StatusOr<lory::v1::Job> job;
  while (RealClock().MonotonicNow() < end) {
    job = GetJob(id);
    if (job.ok() && is_so(*job)) return job;
    if (absl::IsNotFound(job.status())) return job;
    if (job.ok() && IsOver(*job)) break;
    for (auto& [name, process] : processes_) Drain(process);
    ::poll(nullptr, 0, kLookMs);
  }
  if (!job.ok()) return job;
  return absl::DeadlineExceededError(
      absl::StrCat("the job is ", job->ShortDebugString()));
}

std::vector<int64_t> Cluster::TrainerPids(const std::string& worker) {
  grpc::ClientContext context;
  SetDeadline(&context);
  lory::v1::GetWorkerRequest request;
  request.set_name("workers/" + worker);
  lory::v1::Worker found;
  std::vector<int64_t> pids;
  if (!workers_->GetWorker(&context, request, &found).ok()) return pids;
  for (const lory::v1::TrainerStatus& trainer : found.trainers()) {
    if (trainer.phase() != lory::v1::TrainerStatus::EXITED &&
        trainer.process_id() > 0) {
      pids.push_back(trainer.process_id());
    }
  }
  return pids;
}

Cluster::Verdict Cluster::Verify(const std::string& id) {
  auto process = daemon::TrainerProcess::Start(
      {.binary = binaries_.verify,
       .arguments = {"run", "--journal", folder_.At("state"), "--job", id,
                     "--storage-root", folder_.At("storage")}});
  LORY_CHECK(process.ok());
  Verdict verdict;
  pollfd fds[] = {{(*process)->end_fd(), POLLIN, 0},
                  {(*process)->output_fd(), POLLIN, 0}};
  while (::poll(fds, 2, kStartLimitMs) > 0) {
    verdict.output += (*process)->ReadOutput();
    if (fds[0].revents != 0) break;
  }
  verdict.output += (*process)->ReadOutput();
  verdict.exit_status = (*process)->Wait().exit_status;
  return verdict;
}

std::string Cluster::ExpectedDigest(const lory::v1::JobSpec& spec,
                                    int64_t steps) const {
  const int64_t batch =
      int64_t{spec.micro_batch_count()} * spec.micro_batch_sequences();
  std::string digest = data::InitialDigest();
  for (int64_t step = 0; step < steps; ++step) {
    digest = data::NextDigest(
        digest, step,
        data::ExpectedFingerprintSum(static_cast<uint64_t>(spec.seed()),
                                     kSequences, step, batch));
  }
  return digest;
}

}  // namespace lory::testing
