#include "tests/unit/tools/loryctl/fake_service.h"

#include <google/protobuf/text_format.h>

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/rpc/status_convert.h"
#include "tests/support/fake_clock.h"
#include "tools/loryctl/command_line.h"

namespace lory::ctl {
namespace {

using grpc::ServerContext;
using grpc::ServerWriter;
using grpc::Status;

constexpr char kTrainingJob[] = R"pb(
  name: "jobs/tiny"
  spec {
    dataset: "datasets/demo"
    model {
      vocabulary_size: 4096
      layer_count: 2
      width: 64
      head_count: 4
      sequence_length: 128
      feed_forward { lory { expert_count: 4 segment_length: 32 } }
    }
    optimizer { peak_learning_rate: 0.001 }
    step_count: 400
    micro_batch_count: 4
    micro_batch_sequences: 8
    min_workers: 1
    max_workers: 2
  }
  state: RUNNING
  reason: "both members train"
  generation: 2
  members {
    rank: 0
    worker: "workers/worker-a"
    micro_batch_count: 3
    applied_step: 120
    step_seconds: 0.25
  }
  members {
    rank: 1
    worker: "workers/worker-b"
    micro_batch_count: 1
    applied_step: 120
    step_seconds: 0.26
  }
  progress {
    step: 120
    step_count: 400
    loss: 4.5125
    tokens_per_second: 12345.6
    learning_rate: 0.0009
    gradient_norm: 0.75
    epoch: 0.5
    remaining_time { seconds: 130 }
    evaluation {
      step: 100
      domains {
        domain: "code"
        loss: 2
        perplexity: 7.389
        token_count: 20480
        unigram_entropy: 5.1
      }
      domains {
        domain: "verse"
        loss: 3
        perplexity: 20.086
        token_count: 10240
        unigram_entropy: 6.2
      }
      overall {
        domain: "overall"
        loss: 2.333
        perplexity: 10.31
        token_count: 30720
        unigram_entropy: 5.5
      }
    }
    routing {
      layer: 0
      weight_mean: 0.25
      weight_mean: 0.25
      weight_mean: 0.25
      weight_mean: 0.25
      entropy: 1.386
      active_share: 0
    }
    routing {
      layer: 1
      weight_mean: 0.5
      weight_mean: 0.375
      weight_mean: 0.125
      weight_mean: 0
      entropy: 0.97
      active_share: 0.25
    }
    step_times {
      total_seconds: 0.25
      forward_seconds: 0.075
      backward_seconds: 0.15
      reduce_seconds: 0.025
    }
    resident_bytes: 123456789
  }
  checkpoint_step: 100
  recovery_count: 1
  create_time { seconds: 999400 }
  start_time { seconds: 999460 }
)pb";

// The item of this name.
template <typename List, typename Item>
Status Find(Mutex& mutex, const List& list, const std::string& name,
            Item* found) {
  MutexLock lock(&mutex);
  for (const auto& item : list) {
    if (item.name() != name) continue;
    *found = item;
    return Status::OK;
  }
  return rpc::ToGrpc(absl::NotFoundError(absl::StrCat("no ", name)));
}

// Two items a page, so that every list of three has pages to turn.
template <typename List, typename Field, typename Token>
void Page(Mutex& mutex, const List& list, const std::string& token, Field* page,
          Token* next) {
  MutexLock lock(&mutex);
  const size_t first = token.empty() ? 0 : std::stoul(token);
  for (size_t i = first; i < list.size(); ++i) {
    if (i == first + 2) {
      *next = std::to_string(i);
      return;
    }
    *page->Add() = list[i];
  }
}

}  // namespace

class FakeService::Jobs final : public lory::v1::JobService::Service {
 public:
  explicit Jobs(FakeService& fake) : fake_(fake) {}

  Status CreateJob(ServerContext*, const lory::v1::CreateJobRequest* request,
                   lory::v1::Job* job) override {
    if (auto status = fake_.Enter("CreateJob", *request); !status.ok()) {
      return status;
    }
    job->set_name(absl::StrCat("jobs/", request->job_id()));
    *job->mutable_spec() = request->spec();
    job->set_state(lory::v1::Job::QUEUED);
    job->set_reason("waits for its turn");
    MutexLock lock(&fake_.mutex_);
    if (fake_.on_create != nullptr) {
      fake_.jobs.push_back(*job);
      fake_.on_create(fake_.jobs.back());
    }
    return Status::OK;
  }
  Status GetJob(ServerContext*, const lory::v1::GetJobRequest* request,
                lory::v1::Job* job) override {
    if (auto status = fake_.Enter("GetJob", *request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.jobs, request->name(), job);
  }
  Status ListJobs(ServerContext*, const lory::v1::ListJobsRequest* request,
                  lory::v1::ListJobsResponse* response) override {
    if (auto status = fake_.Enter("ListJobs", *request); !status.ok()) {
      return status;
    }
    Page(fake_.mutex_, fake_.jobs, request->page_token(),
         response->mutable_jobs(), response->mutable_next_page_token());
    return Status::OK;
  }
  Status WatchJob(ServerContext*, const lory::v1::GetJobRequest* request,
                  ServerWriter<lory::v1::Job>* writer) override {
    if (auto status = fake_.Enter("WatchJob", *request); !status.ok()) {
      return status;
    }
    MutexLock lock(&fake_.mutex_);
    for (const auto& job : fake_.watched) writer->Write(job);
    return Status::OK;
  }
  Status UpdateJob(ServerContext*, const lory::v1::UpdateJobRequest* request,
                   lory::v1::Job* job) override {
    if (auto status = fake_.Enter("UpdateJob", *request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.jobs, request->name(), job);
  }
  Status PauseJob(ServerContext*, const lory::v1::JobVerbRequest* request,
                  lory::v1::Job* job) override {
    return Verb("PauseJob", *request, job);
  }
  Status ResumeJob(ServerContext*, const lory::v1::JobVerbRequest* request,
                   lory::v1::Job* job) override {
    return Verb("ResumeJob", *request, job);
  }
  Status CancelJob(ServerContext*, const lory::v1::JobVerbRequest* request,
                   lory::v1::Job* job) override {
    return Verb("CancelJob", *request, job);
  }
  Status DeleteJob(ServerContext*, const lory::v1::JobVerbRequest* request,
                   lory::v1::Job* job) override {
    return Verb("DeleteJob", *request, job);
  }
  Status ExplainJob(ServerContext*, const lory::v1::GetJobRequest* request,
                    lory::v1::ExplainJobResponse* response) override {
    for (const auto& text : fake_.sentences) response->add_sentences(text);
    return fake_.Enter("ExplainJob", *request);
  }
  Status ListJobEvents(ServerContext*,
                       const lory::v1::ListJobEventsRequest* request,
                       lory::v1::ListJobEventsResponse* response) override {
    Page(fake_.mutex_, fake_.events, request->page_token(),
         response->mutable_events(), response->mutable_next_page_token());
    return fake_.Enter("ListJobEvents", *request);
  }
  Status StreamJobLogs(ServerContext*,
                       const lory::v1::StreamJobLogsRequest* request,
                       ServerWriter<lory::v1::LogChunk>* writer) override {
    for (const auto& chunk : fake_.logs) writer->Write(chunk);
    return fake_.Enter("StreamJobLogs", *request);
  }

 private:
  Status Verb(absl::string_view method, const lory::v1::JobVerbRequest& request,
              lory::v1::Job* job) {
    if (auto status = fake_.Enter(method, request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.jobs, request.name(), job);
  }

  FakeService& fake_;
};

class FakeService::Workers final
    : public lory::v1::WorkerAdminService::Service {
 public:
  explicit Workers(FakeService& fake) : fake_(fake) {}

  Status ListWorkers(ServerContext*,
                     const lory::v1::ListWorkersRequest* request,
                     lory::v1::ListWorkersResponse* response) override {
    Page(fake_.mutex_, fake_.workers, request->page_token(),
         response->mutable_workers(), response->mutable_next_page_token());
    return fake_.Enter("ListWorkers", *request);
  }
  Status GetWorker(ServerContext*, const lory::v1::GetWorkerRequest* request,
                   lory::v1::Worker* worker) override {
    return Find(fake_.mutex_, fake_.workers, request->name(), worker);
  }
  Status DrainWorker(ServerContext*, const lory::v1::WorkerVerbRequest* request,
                     lory::v1::Worker* worker) override {
    if (auto status = fake_.Enter("DrainWorker", *request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.workers, request->name(), worker);
  }
  Status UndrainWorker(ServerContext*,
                       const lory::v1::WorkerVerbRequest* request,
                       lory::v1::Worker* worker) override {
    if (auto status = fake_.Enter("UndrainWorker", *request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.workers, request->name(), worker);
  }
  Status DeleteWorker(ServerContext*,
                      const lory::v1::WorkerVerbRequest* request,
                      lory::v1::Worker* worker) override {
    if (auto status = fake_.Enter("DeleteWorker", *request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.workers, request->name(), worker);
  }

 private:
  FakeService& fake_;
};

class FakeService::Datasets final : public lory::v1::DatasetService::Service {
 public:
  explicit Datasets(FakeService& fake) : fake_(fake) {}

  Status CreateDataset(ServerContext*,
                       const lory::v1::CreateDatasetRequest* request,
                       lory::v1::Dataset* dataset) override {
    if (auto status = fake_.Enter("CreateDataset", *request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.datasets,
                absl::StrCat("datasets/", request->dataset_id()), dataset);
  }
  Status GetDataset(ServerContext*, const lory::v1::GetDatasetRequest* request,
                    lory::v1::Dataset* dataset) override {
    return Find(fake_.mutex_, fake_.datasets, request->name(), dataset);
  }
  Status ListDatasets(ServerContext*,
                      const lory::v1::ListDatasetsRequest* request,
                      lory::v1::ListDatasetsResponse* response) override {
    Page(fake_.mutex_, fake_.datasets, request->page_token(),
         response->mutable_datasets(), response->mutable_next_page_token());
    return Status::OK;
  }
  Status DeleteDataset(ServerContext*,
                       const lory::v1::DeleteDatasetRequest* request,
                       lory::v1::Dataset* dataset) override {
    if (auto status = fake_.Enter("DeleteDataset", *request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.datasets, request->name(), dataset);
  }

 private:
  FakeService& fake_;
};

class FakeService::Checkpoints final
    : public lory::v1::CheckpointService::Service {
 public:
  explicit Checkpoints(FakeService& fake) : fake_(fake) {}

  Status GetCheckpoint(ServerContext*,
                       const lory::v1::GetCheckpointRequest* request,
                       lory::v1::Checkpoint* checkpoint) override {
    return Find(fake_.mutex_, fake_.checkpoints, request->name(), checkpoint);
  }
  Status ListCheckpoints(ServerContext*,
                         const lory::v1::ListCheckpointsRequest* request,
                         lory::v1::ListCheckpointsResponse* response) override {
    Page(fake_.mutex_, fake_.checkpoints, request->page_token(),
         response->mutable_checkpoints(), response->mutable_next_page_token());
    return fake_.Enter("ListCheckpoints", *request);
  }
  Status DeleteCheckpoint(ServerContext*,
                          const lory::v1::DeleteCheckpointRequest* request,
                          lory::v1::Checkpoint* checkpoint) override {
    if (auto status = fake_.Enter("DeleteCheckpoint", *request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.checkpoints, request->name(), checkpoint);
  }
  Status VerifyCheckpoint(ServerContext*,
                          const lory::v1::GetCheckpointRequest* request,
                          lory::v1::Checkpoint* checkpoint) override {
    if (auto status = fake_.Enter("VerifyCheckpoint", *request); !status.ok()) {
      return status;
    }
    return Find(fake_.mutex_, fake_.checkpoints, request->name(), checkpoint);
  }

 private:
  FakeService& fake_;
};

class FakeService::Info final : public lory::v1::ServerInfoService::Service {
 public:
  explicit Info(FakeService& fake) : fake_(fake) {}

  Status GetServerInfo(ServerContext*,
                       const lory::v1::GetServerInfoRequest* request,
                       lory::v1::ServerInfo* info) override {
    *info = fake_.server_info;
    return fake_.Enter("GetServerInfo", *request);
  }

 private:
  FakeService& fake_;
};

FakeService::FakeService()
    : job_service_(std::make_unique<Jobs>(*this)),
      worker_service_(std::make_unique<Workers>(*this)),
      dataset_service_(std::make_unique<Datasets>(*this)),
      checkpoint_service_(std::make_unique<Checkpoints>(*this)),
      info_service_(std::make_unique<Info>(*this)) {
  server_info.set_version(LORY_VERSION);
  server_info.mutable_time()->set_seconds(999'999);
}

FakeService::~FakeService() = default;

void FakeService::Start(const rpc::TlsFiles& tls, const std::string& address) {
  auto server = rpc::Server::Start(
      {.address = address, .tls = tls},
      {job_service_.get(), worker_service_.get(), dataset_service_.get(),
       checkpoint_service_.get(), info_service_.get()});
  LORY_CHECK(server.ok());
  server_ = *std::move(server);
}

void FakeService::Change(const std::function<void()>& change) {
  MutexLock lock(&mutex_);
  change();
}

std::vector<std::string> FakeService::requests() {
  MutexLock lock(&mutex_);
  return requests_;
}

grpc::Status FakeService::Enter(absl::string_view method,
                                const google::protobuf::Message& request) {
  MutexLock lock(&mutex_);
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(request, &text);
  requests_.push_back(absl::StrCat(method, " ", text));
  const auto it = errors.find(std::string(method));
  return it == errors.end() ? Status::OK : rpc::ToGrpc(it->second);
}

Outcome Loryctl(const std::vector<std::string>& arguments,
                const Terminal& terminal) {
  std::ostringstream out;
  if (terminal.full) out.setstate(std::ios::badbit);
  std::ostringstream err;
  std::istringstream in(terminal.input);
  testing::FakeClock clock;
  Environment environment{
      .out = out,
      .err = err,
      .in = in,
      .clock = clock,
      .out_is_terminal = terminal.is_terminal,
      .err_is_terminal = terminal.is_terminal,
      .utf8 = terminal.utf8,
      .columns = terminal.columns,
      .variable = [&](absl::string_view name) {
        const auto it = terminal.variables.find(std::string(name));
        return it == terminal.variables.end() ? "" : it->second;
      }};
  if (terminal.stops != nullptr) {
    environment.wait_for_stop = [&](absl::Duration duration) {
      clock.SleepFor(duration);
      return terminal.stops();
    };
  }
  const int code = RunLoryctl(arguments, environment);
  return {code, out.str(), err.str()};
}

lory::v1::Job TrainingJob() {
  lory::v1::Job job;
  LORY_CHECK(google::protobuf::TextFormat::ParseFromString(kTrainingJob, &job));
  return job;
}

}  // namespace lory::ctl
