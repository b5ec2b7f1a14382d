#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/engine/page_token.h"
#include "coordinator/plan/views.h"
#include "coordinator/plan/worker_plan.h"
#include "coordinator/state/names.h"

// The coordinator's half for daemons, and workers as people see them.
namespace lory::coordinator {
namespace {

using Record = Journal::Record;

constexpr int kMaxSlots = 1024;

google::protobuf::Duration DurationProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::ToInt64Seconds(duration));
  proto.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(duration - absl::Seconds(proto.seconds()))));
  return proto;
}

absl::Status CheckHello(const lory::v1::AttendRequest& message) {
  if (!message.has_hello()) {
    return FieldErrors({{"hello", "is missing in the first message"}});
  }
  const lory::v1::WorkerHello& hello = message.hello();
  LORY_RETURN_IF_ERROR(CheckWorkerId(hello.worker_id(), "hello.worker_id"));
  if (hello.incarnation().empty() || hello.incarnation().size() > 64) {
    return FieldErrors({{"hello.incarnation", "must have 1 to 64 characters"}});
  }
  const int slots = hello.description().slot_count();
  if (slots < 1 || slots > kMaxSlots) {
    return FieldErrors({{"hello.description.slot_count",
                         absl::StrCat(slots, " is not in 1..", kMaxSlots)}});
  }
  return absl::OkStatus();
}

absl::Status NoWorker(const std::string& name) {
  return ErrorWithReason(
      absl::StatusCode::kNotFound, "WORKER_NOT_FOUND",
      absl::StrCat("no worker '", name,
                   "' has attended; `loryctl worker list` shows all"));
}

}  // namespace

bool Coordinator::KnowsWorker(const std::string& name) const {
  return sessions_.FindWorker(name) != nullptr ||
         state_.draining_workers.count(name) > 0;
}

absl::Status Coordinator::CheckAttach(const lory::v1::WorkerHello& hello) {
  const std::string name = absl::StrCat(kWorkers, hello.worker_id());
  const WorkerSession* session = sessions_.FindWorker(name);
  if (session == nullptr || session->incarnation == hello.incarnation()) {
    return absl::OkStatus();
  }
  // A host that died with its connection is silent but not disconnected.
  const absl::Duration silence = clock_.MonotonicNow() - session->last_heard;
  if (!session->stream_open || silence > options_.plan.lease) {
    return absl::OkStatus();
  }
  return ErrorWithReason(
      absl::StatusCode::kAlreadyExists, "WORKER_NAME_TAKEN",
      absl::StrCat("another living daemon is called ", hello.worker_id(),
                   "; give this one another --name, or stop that one"));
}

absl::StatusOr<int64_t> Coordinator::Attach(
    const lory::v1::AttendRequest& message, std::shared_ptr<Sink> sink) {
  LORY_RETURN_IF_ERROR(CheckHello(message));
  const lory::v1::WorkerHello& hello = message.hello();
  MutexLock lock(&mutex_);
  if (shut_down_) {
    return ErrorWithReason(absl::StatusCode::kUnavailable, "COORDINATOR_STOPS",
                           "the coordinator stops; try again");
  }
  LORY_RETURN_IF_ERROR(CheckAttach(hello));
  const std::string name = absl::StrCat(kWorkers, hello.worker_id());
  const absl::Time now = clock_.MonotonicNow();
  const bool known = sessions_.workers.count(name) > 0;
  WorkerSession& session = sessions_.workers[name];
  const bool same_process = session.incarnation == hello.incarnation();
  const bool grace = now - sessions_.started < options_.plan.lease;
  if (const auto old = streams_.find(session.stream); old != streams_.end()) {
    old->second.sink->Close(ErrorWithReason(
        absl::StatusCode::kAborted, "SESSION_SUPERSEDED",
        absl::StrCat("a newer stream of ", name, " took over")));
    streams_.erase(old);
  }
  session.name = name;
  session.incarnation = hello.incarnation();
  session.stream = ++last_stream_;
  session.description = hello.description();
  session.stream_open = true;
  session.stream_opened = now;
  session.last_heard_wall = clock_.WallNow();
  session.broken_reason.clear();
  // The trainers of a daemon die with it. A daemon unknown to a coordinator
  // that just began may have trainers that it has not told of yet.
  session.fresh = known ? !same_process : !grace;
  if (!same_process) session.trainers.clear();
  session.reported = false;
  Log(LogLevel::kInfo, "worker attends",
      {{"worker", name},
       {"slots", hello.description().slot_count()},
       {"session", session.stream},
       {"trainers", message.trainers_size()}});

  streams_[session.stream] = {.worker = name, .sink = sink};
  lory::v1::AttendResponse response;
  lory::v1::WorkerSession* terms = response.mutable_session();
  terms->set_session_id(absl::StrCat(session.stream));
  *terms->mutable_heartbeat_interval() = DurationProto(options_.plan.heartbeat);
  *terms->mutable_lease() = DurationProto(options_.plan.lease);
  *terms->mutable_collective_timeout() =
      DurationProto(options_.plan.collective_timeout);
  *terms->mutable_hang_limit() = DurationProto(options_.plan.hang_limit);
  sink->Send(std::move(response));
  const int64_t stream = session.stream;
  Observe(state_, now, name, message, sessions_);
  ++change_count_;
  changed_.NotifyAll();
  Evaluate();
  return stream;
}

void Coordinator::Receive(int64_t stream,
                          const lory::v1::AttendRequest& message) {
  MutexLock lock(&mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  const std::string& worker = found->second.worker;
  Observe(state_, clock_.MonotonicNow(), worker, message, sessions_);
  sessions_.workers[worker].last_heard_wall = clock_.WallNow();
  ++change_count_;
  changed_.NotifyAll();
  Evaluate();
}

void Coordinator::Detach(int64_t stream, absl::string_view reason) {
  MutexLock lock(&mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  WorkerSession& session = sessions_.workers[found->second.worker];
  streams_.erase(found);
  session.stream_open = false;
  session.stream_broken = clock_.MonotonicNow();
  session.broken_reason = std::string(reason);
  Log(LogLevel::kWarning, "worker's stream broke",
      {{"worker", session.name}, {"reason", reason}});
  ++change_count_;
  changed_.NotifyAll();
  Evaluate();
}

absl::StatusOr<lory::v1::Worker> Coordinator::GetWorker(
    const std::string& name) {
  MutexLock lock(&mutex_);
  if (!KnowsWorker(name)) return NoWorker(name);
  return BuildWorker(CurrentView(), name);
}

absl::StatusOr<lory::v1::ListWorkersResponse> Coordinator::ListWorkers(
    const lory::v1::ListWorkersRequest& request) {
  LORY_ASSIGN_OR_RETURN(
      const PageRequest page,
      ReadPage("workers", request.page_size(), request.page_token(), 50, 500));
  MutexLock lock(&mutex_);
  std::set<std::string> names = state_.draining_workers;
  for (const auto& [name, session] : sessions_.workers) names.insert(name);
  lory::v1::ListWorkersResponse response;
  for (auto it = names.upper_bound(page.after); it != names.end(); ++it) {
    if (response.workers_size() == page.size) {
      response.set_next_page_token(
          MakePageToken("workers", response.workers(page.size - 1).name()));
      break;
    }
    *response.add_workers() = BuildWorker(CurrentView(), *it);
  }
  return response;
}

absl::StatusOr<lory::v1::Worker> Coordinator::SetDrain(
    const lory::v1::WorkerVerbRequest& request, bool drain) {
  const absl::string_view method = drain ? "DrainWorker" : "UndrainWorker";
  {
    MutexLock lock(&mutex_);
    LORY_ASSIGN_OR_RETURN(const std::optional<std::string> answered,
                          FindAnswered(method, request, request.request_id()));
    const bool drains = state_.draining_workers.count(request.name()) > 0;
    if (KnowsWorker(request.name()) && !answered) {
      std::vector<Record> records;
      if (drains != drain) {
        Record record;
        record.mutable_worker_drain_changed()->set_worker(request.name());
        record.mutable_worker_drain_changed()->set_drain(drain);
        records.push_back(std::move(record));
      }
      LORY_RETURN_IF_ERROR(CommitCall(method, request, request.request_id(),
                                      request.name(), std::move(records)));
      Evaluate();
    }
  }
  return GetWorker(request.name());
}

absl::StatusOr<lory::v1::Worker> Coordinator::DrainWorker(
    const lory::v1::WorkerVerbRequest& request) {
  return SetDrain(request, /*drain=*/true);
}

absl::StatusOr<lory::v1::Worker> Coordinator::UndrainWorker(
    const lory::v1::WorkerVerbRequest& request) {
  return SetDrain(request, /*drain=*/false);
}

absl::StatusOr<lory::v1::Worker> Coordinator::DeleteWorker(
    const lory::v1::WorkerVerbRequest& request) {
  constexpr absl::string_view kMethod = "DeleteWorker";
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const std::optional<std::string> answered,
                        FindAnswered(kMethod, request, request.request_id()));
  if (answered) {
    lory::v1::Worker worker;
    worker.set_name(*answered);
    return worker;
  }
  if (!KnowsWorker(request.name())) return NoWorker(request.name());
  Evaluate();  // jobs let go of who was lost since the last look
  LORY_ASSIGN_OR_RETURN(Plan plan,
                        PlanWorkerDeletion(CurrentView(), request.name()));
  lory::v1::Worker worker = BuildWorker(CurrentView(), request.name());
  LORY_RETURN_IF_ERROR(CommitCall(kMethod, request, request.request_id(),
                                  request.name(), std::move(plan.events)));
  // Its session is in no journal: one that comes back begins another.
  sessions_.workers.erase(request.name());
  Log(LogLevel::kInfo, "worker deleted",
      {{"worker", worker.name()}, {"reason", plan.reason}});
  ++change_count_;
  changed_.NotifyAll();
  Evaluate();
  return worker;
}

}  // namespace lory::coordinator
