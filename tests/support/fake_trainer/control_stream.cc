#include "tests/support/fake_trainer/control_stream.h"

#include <grpcpp/client_context.h>

#include <utility>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/io/storage.h"
#include "common/rpc/channel.h"
#include "google/protobuf/util/message_differencer.h"

namespace lory::testing {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::lory::internal::v1::TrainerOrder;
using ::lory::internal::v1::TrainerReport;
using ::lory::internal::v1::TrainerService;

constexpr absl::Duration kReportInterval = absl::Milliseconds(250);
constexpr absl::Duration kReconnectPause = absl::Milliseconds(100);

std::unique_ptr<TrainerService::Stub> Connect(const std::string& socket) {
  auto channel = rpc::OpenChannel(socket, {});
  LORY_CHECK(channel.ok());
  return TrainerService::NewStub(*channel);
}

}  // namespace

ControlStream::ControlStream(
    const std::string& socket, lory::v1::TrainerStatus status,
    std::function<void(const lory::v1::Assignment&)> on_order)
    : on_order_(std::move(on_order)),
      daemon_(Connect(socket)),
      status_(std::move(status)),
      thread_([this] { AttendForever(); }) {}

void ControlStream::Update(
    const std::function<void(lory::v1::TrainerStatus&)>& change) {
  MutexLock lock(&mutex_);
  change(status_);
  ++version_;
  ++ticks_;
  changed_.NotifyAll();
}

void ControlStream::AddPart(const lory::v1::CommitCheckpointRequest& part) {
  MutexLock lock(&mutex_);
  parts_.push_back(part);
  ++version_;
  changed_.NotifyAll();
}

void ControlStream::Tick() {
  MutexLock lock(&mutex_);
  ++ticks_;
}

lory::v1::Assignment ControlStream::Newest() const {
  MutexLock lock(&mutex_);
  return newest_;
}

std::map<int64_t, lory::v1::Round> ControlStream::RoundsOf(
    int64_t generation) const {
  MutexLock lock(&mutex_);
  return rounds_generation_ == generation
             ? rounds_
             : std::map<int64_t, lory::v1::Round>();
}

void ControlStream::WaitForChange(const lory::v1::Assignment& known,
                                  absl::Duration timeout) const {
  MutexLock lock(&mutex_);
  const absl::Time end = RealClock().MonotonicNow() + timeout;
  while (MessageDifferencer::Equals(known, newest_)) {
    const absl::Duration left = end - RealClock().MonotonicNow();
    if (left <= absl::ZeroDuration()) return;
    changed_.WaitFor(&mutex_, left);
  }
}

void ControlStream::Flush() const {
  MutexLock lock(&mutex_);
  while (version_written_ < version_) changed_.Wait(&mutex_);
}

void ControlStream::ReadAll(
    grpc::ClientReaderWriter<TrainerReport, TrainerOrder>* stream) {
  TrainerOrder order;
  while (stream->Read(&order)) {
    for (const std::string& path : order.parts_to_delete()) {
      (void)io::LocalStorage().Remove(path);
    }
    const lory::v1::Assignment& assignment = order.assignment();
    {
      MutexLock lock(&mutex_);
      newest_ = assignment;
      if (assignment.phase() == lory::v1::Assignment::RUN) {
        if (assignment.generation() > rounds_generation_) rounds_.clear();
        rounds_generation_ = assignment.generation();
        if (assignment.has_round()) {
          rounds_[assignment.round().id()] = assignment.round();
        }
      }
      changed_.NotifyAll();
    }
    on_order_(assignment);
  }
  MutexLock lock(&mutex_);
  broken_ = true;
  changed_.NotifyAll();
}

void ControlStream::AttendForever() {
  while (true) {
    grpc::ClientContext context;
    const auto stream = daemon_->Attend(&context);
    {
      MutexLock lock(&mutex_);
      broken_ = false;
    }
    {
      const std::jthread reader([&] { ReadAll(stream.get()); });
      size_t parts_sent = 0;
      int64_t version_sent = -1;
      while (true) {
        TrainerReport report;
        {
          MutexLock lock(&mutex_);
          if (!broken_ && version_sent == version_) {
            changed_.WaitFor(&mutex_, kReportInterval);
          }
          if (broken_) break;
          version_sent = version_;
          *report.mutable_status() = status_;
          report.set_progress_counter(ticks_);
          while (parts_sent < parts_.size()) {
            *report.add_written_parts() = parts_[parts_sent++];
          }
        }
        if (!stream->Write(report)) break;
        MutexLock lock(&mutex_);
        version_written_ = version_sent;
        changed_.NotifyAll();
      }
      context.TryCancel();
    }
    (void)stream->Finish();
    RealClock().SleepFor(kReconnectPause);
  }
}

}  // namespace lory::testing
