#include "tests/support/fake_coordinator.h"

#include <algorithm>
#include <stop_token>
#include <thread>
#include <utility>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/rpc/status_convert.h"

namespace lory::testing {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(20);
constexpr absl::Duration kLook = absl::Milliseconds(200);

}  // namespace

FakeCoordinator::FakeCoordinator() {
  terms_.set_session_id("test");
  // Long: what is reported sooner is reported because it changed.
  terms_.mutable_heartbeat_interval()->set_seconds(10);
  terms_.mutable_lease()->set_seconds(30);
  terms_.mutable_collective_timeout()->set_seconds(10);
  terms_.mutable_hang_limit()->set_seconds(60);
  commit_ = [](const v1::CommitCheckpointRequest&) {
    v1::Checkpoint checkpoint;
    checkpoint.set_state(v1::Checkpoint::COMMITTED);
    return checkpoint;
  };
  Start();
}

FakeCoordinator::~FakeCoordinator() { Stop(); }

void FakeCoordinator::Start() {
  {
    MutexLock lock(&mutex_);
    stopped_ = false;
  }
  auto server = rpc::Server::Start({.address = address_}, {this});
  LORY_CHECK(server.ok());
  server_ = *std::move(server);
  address_ = server_->address();
}

void FakeCoordinator::Stop() {
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    changed_.NotifyAll();
  }
  server_.reset();
}

void FakeCoordinator::SetTerms(const v1::WorkerSession& terms) {
  MutexLock lock(&mutex_);
  terms_.MergeFrom(terms);
}

void FakeCoordinator::SetDesired(std::vector<v1::Assignment> assignments) {
  MutexLock lock(&mutex_);
  desired_.set_version(desired_.version() + 1);
  desired_.clear_assignments();
  for (v1::Assignment& assignment : assignments) {
    *desired_.add_assignments() = std::move(assignment);
  }
  changed_.NotifyAll();
}

void FakeCoordinator::SetRefusal(const absl::Status& refusal) {
  MutexLock lock(&mutex_);
  refusal_ = refusal;
}

void FakeCoordinator::SetCommit(std::function<absl::StatusOr<v1::Checkpoint>(
                                    const v1::CommitCheckpointRequest&)>
                                    commit) {
  MutexLock lock(&mutex_);
  commit_ = std::move(commit);
}

std::optional<FakeCoordinator::Trainers> FakeCoordinator::WaitFor(
    const std::function<bool(const Trainers&)>& is_so) {
  const absl::Time end = RealClock().MonotonicNow() + kLimit;
  while (true) {
    Trainers trainers;
    int64_t news = 0;
    {
      MutexLock lock(&mutex_);
      trainers = trainers_;
      news = news_;
    }
    // Not under the lock: it may ask us something.
    if (is_so(trainers)) return trainers;
    MutexLock lock(&mutex_);
    while (news_ == news) {
      const absl::Duration left = end - RealClock().MonotonicNow();
      if (left <= absl::ZeroDuration()) return std::nullopt;
      changed_.WaitFor(&mutex_, left);
    }
  }
}

std::optional<v1::TrainerStatus> FakeCoordinator::WaitForTrainer(
    const std::function<bool(const v1::TrainerStatus&)>& is_so) {
  const auto trainers = WaitFor([&](const Trainers& trainers) {
    return std::any_of(trainers.begin(), trainers.end(), is_so);
  });
  if (!trainers.has_value()) return std::nullopt;
  return *std::find_if(trainers->begin(), trainers->end(), is_so);
}

v1::WorkerHello FakeCoordinator::hello() const {
  MutexLock lock(&mutex_);
  return hello_;
}

int FakeCoordinator::hello_count() const {
  MutexLock lock(&mutex_);
  return hello_count_;
}

std::vector<v1::CommitCheckpointRequest> FakeCoordinator::commits() const {
  MutexLock lock(&mutex_);
  return commits_;
}

grpc::Status FakeCoordinator::Attend(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::AttendResponse, v1::AttendRequest>* stream) {
  v1::AttendRequest request;
  if (!stream->Read(&request)) return grpc::Status::OK;
  int64_t number = 0;
  v1::AttendResponse response;
  {
    MutexLock lock(&mutex_);
    hello_ = request.hello();
    ++hello_count_;
    if (!refusal_.ok()) return rpc::ToGrpc(refusal_);
    number = ++stream_;
    *response.mutable_session() = terms_;
  }
  stream->Write(response);
  const std::jthread writer([&](std::stop_token stop) {
    int64_t sent = 0;
    while (!stop.stop_requested()) {
      v1::AttendResponse news;
      {
        MutexLock lock(&mutex_);
        if (stopped_) context->TryCancel();
        if (stopped_ || stream_ != number) return;
        if (desired_.version() == sent) {
          changed_.WaitFor(&mutex_, kLook);
          continue;
        }
        *news.mutable_desired() = desired_;
        sent = desired_.version();
      }
      if (!stream->Write(news)) return;
    }
  });
  do {
    MutexLock lock(&mutex_);
    trainers_.assign(request.trainers().begin(), request.trainers().end());
    ++news_;
    changed_.NotifyAll();
  } while (stream->Read(&request));
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::CommitCheckpoint(
    grpc::ServerContext*, const v1::CommitCheckpointRequest* request,
    v1::Checkpoint* response) {
  MutexLock lock(&mutex_);
  commits_.push_back(*request);
  ++news_;
  changed_.NotifyAll();
  auto answer = commit_(*request);
  if (!answer.ok()) return rpc::ToGrpc(answer.status());
  *response = *std::move(answer);
  return grpc::Status::OK;
}

}  // namespace lory::testing
