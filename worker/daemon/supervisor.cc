#include "worker/daemon/supervisor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/log.h"

namespace lory::daemon {
namespace {

// Longest wait without a look at the table.
constexpr absl::Duration kMaxWait = absl::Seconds(1);
// What a process has written is read in so many pieces before others have
// their turn.
constexpr int kReadsAtOnce = 16;
// What a trainer wrote before it died is read in milliseconds; a stream that
// does not end by itself must not delay the news for long.
constexpr absl::Duration kLastWords = absl::Milliseconds(500);
constexpr int kStartFailedStatus = 127;  // as a shell has it

}  // namespace

WakeEvent::WakeEvent() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  LORY_CHECK(fd_ >= 0);
}

WakeEvent::~WakeEvent() { ::close(fd_); }

void WakeEvent::Notify() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof(one));
}

void WakeEvent::Clear() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(fd_, &count, sizeof(count));
}

Supervisor::Supervisor(const Options& options, TrainerTable& table,
                       WakeEvent& wake, Clock& clock,
                       std::function<void(EndCause)> on_end)
    : options_(options),
      table_(table),
      wake_(wake),
      clock_(clock),
      on_end_(std::move(on_end)) {}

Supervisor::~Supervisor() = default;

void Supervisor::Run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    // Before the look, so that a change after it wakes the wait.
    wake_.Clear();
    ProcessWork work = table_.TakeWork();
    for (const ProcessWork::Start& start : work.starts) Start(start);
    for (const ProcessWork::Signal& signal : work.signals) {
      const auto child = children_.find(signal.incarnation);
      if (child != children_.end()) {
        child->second.process->Signal(signal.signal);
      }
    }
    if (!work.starts.empty()) continue;  // they may have failed at once
    Watch(std::min(work.next, clock_.MonotonicNow() + kMaxWait));
  }
  children_.clear();
}

absl::StatusOr<std::unique_ptr<TrainerProcess>> Supervisor::Spawn(
    const ProcessWork::Start& start) const {
  const lory::v1::Assignment& assignment = start.assignment;
  const int threads = assignment.spec().threads() > 0
                          ? assignment.spec().threads()
                          : options_.threads;
  const std::string threads_text = absl::StrCat(threads);
  return TrainerProcess::Start(
      {.binary = options_.trainer_binary,
       .arguments = {"--socket", options_.socket_address, "--job",
                     assignment.job(), "--slot",
                     absl::StrCat(assignment.slot()), "--incarnation",
                     start.incarnation, "--listen-host", options_.listen_host,
                     "--parent-pid", absl::StrCat(::getpid()), "--device",
                     options_.device, "--threads", threads_text, "--worker",
                     options_.worker_id},
       .environment = {{"OMP_NUM_THREADS", threads_text}}});
}

void Supervisor::Start(const ProcessWork::Start& start) {
  const lory::v1::Assignment& assignment = start.assignment;
  if (const absl::Status status = CheckAssignment(assignment, options_.roots);
      !status.ok()) {
    Log(LogLevel::kError, "trainer refused",
        {{"job", assignment.job()}, {"error", status.message()}});
    table_.Refused(start.incarnation, std::string(status.message()));
    return;
  }
  auto process = Spawn(start);
  if (!process.ok()) {
    Log(LogLevel::kError, "trainer not started",
        {{"job", assignment.job()}, {"error", process.status().message()}});
    table_.Ended(start.incarnation, kStartFailedStatus,
                 std::string(process.status().message()), EndCause::kStart);
    on_end_(EndCause::kStart);
    return;
  }
  Log(LogLevel::kInfo, "trainer started",
      {{"job", assignment.job()},
       {"slot", assignment.slot()},
       {"incarnation", start.incarnation},
       {"pid", (*process)->pid()}});
  table_.Started(start.incarnation, (*process)->pid());
  Child& child = children_[start.incarnation];
  child.process = *std::move(process);
  child.log = std::make_unique<TrainerLog>(
      LogPath(options_.log_folder, assignment.job(), assignment.slot()),
      options_.log_limit_bytes);
}

void Supervisor::Watch(absl::Time until) {
  std::vector<pollfd> fds = {{wake_.fd(), POLLIN, 0}};
  std::vector<std::string> incarnations;
  for (const auto& [incarnation, child] : children_) {
    incarnations.push_back(incarnation);
    fds.push_back({child.process->end_fd(), POLLIN, 0});
    // poll() passes over descriptor -1.
    fds.push_back(
        {child.output_closed ? -1 : child.process->output_fd(), POLLIN, 0});
  }
  const absl::Duration wait =
      std::max(until - clock_.MonotonicNow(), absl::ZeroDuration());
  const timespec timeout = absl::ToTimespec(wait);
  if (::ppoll(fds.data(), fds.size(), &timeout, nullptr) <= 0) return;
  for (size_t i = 0; i < incarnations.size(); ++i) {
    const bool ended = fds[1 + 2 * i].revents != 0;
    const bool has_output = fds[2 + 2 * i].revents != 0;
    Child& child = children_.at(incarnations[i]);
    if (has_output || ended) {
      for (int reads = 0; reads < kReadsAtOnce; ++reads) {
        const std::string output = child.process->ReadOutput();
        if (output.empty()) break;
        child.log->Append(output);
      }
    }
    // Only the hang-up is left: it would wake us for ever.
    if (fds[2 + 2 * i].revents == POLLHUP) child.output_closed = true;
    if (ended) Reap(incarnations[i]);
  }
}

void Supervisor::Reap(const std::string& incarnation) {
  const auto found = children_.find(incarnation);
  const ProcessEnd end = found->second.process->Wait();
  std::string text = end.text;
  if (const std::string& line = found->second.log->last_line(); !line.empty()) {
    absl::StrAppend(&text, "; its last words: ", line);
  }
  table_.WaitForLastWords(incarnation, kLastWords);
  const EndCause cause =
      table_.Ended(incarnation, end.exit_status, text,
                   end.exit_status > 128 ? EndCause::kSignal : EndCause::kExit);
  Log(cause == EndCause::kOrdered ? LogLevel::kInfo : LogLevel::kWarning,
      "trainer ended",
      {{"incarnation", incarnation},
       {"pid", found->second.process->pid()},
       {"cause", NameOf(cause)},
       {"how", text}});
  children_.erase(found);
  on_end_(cause);
}

}  // namespace lory::daemon
