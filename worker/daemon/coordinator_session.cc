#include "worker/daemon/coordinator_session.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "common/rpc/status_convert.h"

namespace lory::daemon {
namespace {

using ::lory::v1::AttendRequest;
using ::lory::v1::AttendResponse;

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
// Whatever the coordinator asks for, we do not flood it.
constexpr absl::Duration kShortestHeartbeat = absl::Milliseconds(50);

bool IsFinal(const absl::Status& status) {
  return ReasonOf(status) == "WORKER_NAME_TAKEN" ||
         absl::IsInvalidArgument(status);
}

}  // namespace

CoordinatorSession::CoordinatorSession(
    lory::v1::WorkerService::StubInterface& coordinator, TrainerTable& table,
    Clock& clock)
    : coordinator_(coordinator), table_(table), clock_(clock) {}

CoordinatorSession::State CoordinatorSession::state() const {
  MutexLock lock(&mutex_);
  return state_;
}

void CoordinatorSession::Leave() {
  {
    MutexLock lock(&mutex_);
    leaving_ = true;
    stopped_.NotifyAll();
  }
  table_.Poke();
}

absl::Status CoordinatorSession::Run(const lory::v1::WorkerHello& hello,
                                     std::stop_token stop) {
  const std::stop_callback wake(stop, [this] {
    MutexLock lock(&mutex_);
    stopped_.NotifyAll();
  });
  absl::Duration pause = kFirstPause;
  while (true) {
    const absl::Status status = AttendOnce(hello, stop);
    {
      MutexLock lock(&mutex_);
      if (stop.stop_requested() || leaving_) return absl::OkStatus();
      if (state_.attached) pause = kFirstPause;
    }
    Detached(status);
    if (IsFinal(status)) return status;
    if (!Pause(stop, pause)) return absl::OkStatus();
    pause = std::min(2 * pause, kLongestPause);
  }
}

absl::Status CoordinatorSession::AttendOnce(const lory::v1::WorkerHello& hello,
                                            std::stop_token stop) {
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&] {
    context.TryCancel();
    table_.Poke();
  });
  {
    MutexLock lock(&mutex_);
    stream_ended_ = false;
    desired_version_ = 0;
  }
  table_.StreamBroken();
  const std::unique_ptr<Stream> stream = coordinator_.Attend(&context);
  {
    const std::jthread reader([&] { ReadAll(stream.get()); });
    WriteAll(hello, stop, stream.get());
    MutexLock lock(&mutex_);
    // The reader must end, too. But to cancel a stream that the coordinator
    // has ended would hide why it did.
    if (!stream_ended_) context.TryCancel();
  }
  return rpc::FromGrpc(stream->Finish());
}

AttendRequest CoordinatorSession::MakeRequest(int64_t* version) const {
  TrainerTable::Report report = table_.BuildReport();
  *version = report.version;
  AttendRequest request;
  for (auto& trainer : report.trainers) {
    *request.add_trainers() = std::move(trainer);
  }
  MutexLock lock(&mutex_);
  request.set_desired_version(desired_version_);
  return request;
}

void CoordinatorSession::WriteAll(const lory::v1::WorkerHello& hello,
                                  std::stop_token stop, Stream* stream) {
  int64_t version = 0;
  AttendRequest request = MakeRequest(&version);
  *request.mutable_hello() = hello;
  while (!stop.stop_requested()) {
    // The coordinator's reason may still be on its way.
    if (!stream->Write(request)) return AwaitEnd(stop, kLongestPause);
    table_.ReportSent(version);
    absl::Duration heartbeat;
    bool leaving = false;
    {
      MutexLock lock(&mutex_);
      if (stream_ended_) return;
      heartbeat = heartbeat_;
      leaving = leaving_;
    }
    if (leaving) {
      stream->WritesDone();
      // The coordinator ends the stream when it has read it all.
      return AwaitEnd(stop, absl::InfiniteDuration());
    }
    table_.WaitForChange(version, heartbeat);
    request = MakeRequest(&version);
  }
}

void CoordinatorSession::AwaitEnd(std::stop_token stop, absl::Duration limit) {
  MutexLock lock(&mutex_);
  const absl::Time end = clock_.MonotonicNow() + limit;
  while (!stream_ended_ && !stop.stop_requested() &&
         clock_.MonotonicNow() < end) {
    stopped_.WaitFor(&mutex_, std::min(limit, kLongestPause));
  }
}

void CoordinatorSession::ReadAll(Stream* stream) {
  AttendResponse response;
  while (stream->Read(&response)) {
    {
      MutexLock lock(&mutex_);
      state_.last_heard_wall = clock_.WallNow();
      if (response.has_session()) {
        state_.attached = true;
        state_.trouble.clear();
        const auto& interval = response.session().heartbeat_interval();
        heartbeat_ = std::max(absl::Seconds(interval.seconds()) +
                                  absl::Nanoseconds(interval.nanos()),
                              kShortestHeartbeat);
      }
      if (response.has_desired()) {
        desired_version_ = response.desired().version();
      }
    }
    if (response.has_session()) {
      Log(LogLevel::kInfo, "attached to the coordinator",
          {{"session", response.session().session_id()}});
      table_.SetTerms(response.session());
    }
    if (response.has_desired()) table_.SetDesired(response.desired());
  }
  {
    MutexLock lock(&mutex_);
    stream_ended_ = true;
    stopped_.NotifyAll();
  }
  table_.Poke();  // the writer waits there
}

void CoordinatorSession::Detached(const absl::Status& why) {
  std::string trouble = why.ok()
                            ? "the coordinator closed the stream"
                            : absl::StrCat(absl::StatusCodeToString(why.code()),
                                           ": ", why.message());
  MutexLock lock(&mutex_);
  if (state_.attached || state_.trouble != trouble) {
    Log(LogLevel::kWarning,
        "not attached to the coordinator; trainers go on, trying again",
        {{"why", trouble}});
  }
  if (state_.attached) ++state_.reconnect_count;
  state_.attached = false;
  state_.trouble = std::move(trouble);
}

bool CoordinatorSession::Pause(std::stop_token stop, absl::Duration pause) {
  MutexLock lock(&mutex_);
  const absl::Time end = clock_.MonotonicNow() + pause;
  while (!stop.stop_requested() && !leaving_) {
    const absl::Duration left = end - clock_.MonotonicNow();
    if (left <= absl::ZeroDuration()) return true;
    stopped_.WaitFor(&mutex_, left);
  }
  return false;
}

}  // namespace lory::daemon
