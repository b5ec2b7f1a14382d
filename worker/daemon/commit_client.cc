#include "worker/daemon/commit_client.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "common/rpc/status_convert.h"

namespace lory::daemon {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::CommitCheckpointRequest;

constexpr absl::Duration kDeadline = absl::Seconds(5);
// Parts wait only while the coordinator is away or other ranks write; more
// than this many mean that somebody runs wild.
constexpr size_t kMaxWaiting = 1000;

bool AreSame(const CommitCheckpointRequest& a,
             const CommitCheckpointRequest& b) {
  return a.job() == b.job() && a.folder() == b.folder() &&
         a.part().file() == b.part().file();
}

// Whether the answer decides the part's fate.
std::optional<PartFate> FateOf(const absl::Status& status,
                               const Checkpoint& answer) {
  if (status.ok()) {
    if (answer.state() == Checkpoint::COMMITTED) return PartFate::kCommitted;
    if (answer.state() == Checkpoint::DELETED) return PartFate::kDeleted;
    return std::nullopt;
  }
  if (ReasonOf(status) == "GENERATION_FENCED") return PartFate::kFenced;
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
      return PartFate::kRefused;
    default:
      return std::nullopt;
  }
}

}  // namespace

absl::string_view NameOf(PartFate fate) {
  switch (fate) {
    case PartFate::kCommitted:
      return "committed";
    case PartFate::kDeleted:
      return "deleted";
    case PartFate::kFenced:
      return "fenced";
    case PartFate::kRefused:
      return "refused";
  }
  return "unknown";
}

CommitClient::CommitClient(lory::v1::WorkerService::StubInterface& coordinator,
                           Clock& clock, absl::Duration interval,
                           std::function<void(const Part&, PartFate)> decided)
    : coordinator_(coordinator),
      clock_(clock),
      interval_(interval),
      decided_(std::move(decided)) {}

void CommitClient::Add(Part part) {
  MutexLock lock(&mutex_);
  const bool known =
      std::any_of(waiting_.begin(), waiting_.end(), [&](const Waiting& other) {
        return AreSame(other.part.request, part.request);
      });
  if (known) return;
  if (waiting_.size() == kMaxWaiting) waiting_.pop_front();
  waiting_.push_back({std::move(part), clock_.MonotonicNow()});
  changed_.NotifyAll();
}

bool CommitClient::TakeDue(std::stop_token stop, Part* part) {
  MutexLock lock(&mutex_);
  while (!stop.stop_requested()) {
    const auto first = std::min_element(waiting_.begin(), waiting_.end(),
                                        [](const Waiting& a, const Waiting& b) {
                                          return a.next_time < b.next_time;
                                        });
    if (first == waiting_.end()) {
      changed_.Wait(&mutex_);
      continue;
    }
    const absl::Duration left = first->next_time - clock_.MonotonicNow();
    if (left <= absl::ZeroDuration()) {
      *part = first->part;
      first->next_time = clock_.MonotonicNow() + interval_;
      return true;
    }
    changed_.WaitFor(&mutex_, left);
  }
  return false;
}

bool CommitClient::Ask(const Part& part) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(clock_.WallNow() + kDeadline));
  Checkpoint answer;
  const absl::Status status = rpc::FromGrpc(
      coordinator_.CommitCheckpoint(&context, part.request, &answer));
  const std::optional<PartFate> fate = FateOf(status, answer);
  if (!fate.has_value()) return false;
  Log(*fate == PartFate::kCommitted ? LogLevel::kInfo : LogLevel::kWarning,
      "checkpoint part decided",
      {{"job", part.request.job()},
       {"step", part.request.step()},
       {"generation", part.request.generation()},
       {"file", part.request.part().file()},
       {"fate", NameOf(*fate)},
       {"why", status.message()}});
  decided_(part, *fate);
  return true;
}

void CommitClient::Run(std::stop_token stop) {
  const std::stop_callback wake(stop, [this] {
    MutexLock lock(&mutex_);
    changed_.NotifyAll();
  });
  Part part;
  while (TakeDue(stop, &part)) {
    if (!Ask(part)) continue;
    MutexLock lock(&mutex_);
    std::erase_if(waiting_, [&](const Waiting& other) {
      return AreSame(other.part.request, part.request);
    });
  }
}

}  // namespace lory::daemon
