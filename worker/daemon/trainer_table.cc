#include "worker/daemon/trainer_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "google/protobuf/util/message_differencer.h"
#include "worker/daemon/status_change.h"

namespace lory::daemon {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;

// Bounds on what is remembered, should nobody ever take it.
constexpr size_t kMaxEnded = 64;
constexpr size_t kMaxPartsToDelete = 64;

absl::Duration ToDuration(const google::protobuf::Duration& duration,
                          absl::Duration fallback) {
  const absl::Duration value =
      absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
  return value > absl::ZeroDuration() ? value : fallback;
}

}  // namespace

TrainerTable::TrainerTable(const Options& options, Clock& clock,
                           std::function<void()> wake)
    : options_(options), clock_(clock), wake_(std::move(wake)) {}

TrainerTable::Trainer* TrainerTable::Find(const std::string& incarnation) {
  for (auto& [slot, trainer] : trainers_) {
    if (trainer.status.incarnation() == incarnation) return &trainer;
  }
  return nullptr;
}

void TrainerTable::Changed() {
  urgent_version_ = ++version_;
  changed_.NotifyAll();
}

void TrainerTable::Stepped() {
  ++version_;
  changed_.NotifyAll();
}

void TrainerTable::SetTerms(const lory::v1::WorkerSession& terms) {
  MutexLock lock(&mutex_);
  terms_ = terms;
  for (auto& [slot, trainer] : trainers_) ++trainer.order_number;
  Changed();
}

void TrainerTable::SetDesired(const lory::v1::DesiredState& desired) {
  {
    MutexLock lock(&mutex_);
    desired_ = desired;
    GiveOrders();
    Changed();  // the version seen is part of what is reported
  }
  wake_();
}

void TrainerTable::Close() {
  {
    MutexLock lock(&mutex_);
    closed_ = true;
    desired_.clear_assignments();
    GiveOrders();
    Changed();
  }
  wake_();
}

bool TrainerTable::empty() const {
  MutexLock lock(&mutex_);
  return std::none_of(
      trainers_.begin(), trainers_.end(),
      [](const auto& entry) { return entry.second.has_process; });
}

std::vector<Action> TrainerTable::Plan() const {
  std::vector<TrainerView> views;
  for (const auto& [slot, trainer] : trainers_) {
    views.push_back({.slot = slot,
                     .job = trainer.status.job(),
                     .incarnation = trainer.status.incarnation(),
                     .ending = trainer.end_time.has_value(),
                     .prepared_generation = trainer.prepared_generation});
  }
  return Reconcile(desired_, views, options_.slot_count);
}

void TrainerTable::GiveOrders() {
  for (const Action& action : Plan()) {
    if (action.kind == Action::Kind::kStart) continue;
    const auto found = trainers_.find(action.slot);
    if (action.kind == Action::Kind::kOrder) {
      Order(action.assignment, &found->second);
    } else if (found->second.has_process) {
      OrderEnd(EndCause::kOrdered, "ended as ordered", &found->second);
    } else {
      trainers_.erase(found);
    }
  }
}

void TrainerTable::Order(const Assignment& assignment, Trainer* trainer) {
  if (MessageDifferencer::Equals(assignment, trainer->assignment)) return;
  trainer->assignment = assignment;
  ++trainer->order_number;
  changed_.NotifyAll();
}

void TrainerTable::OrderEnd(EndCause cause, const std::string& reason,
                            Trainer* trainer) {
  if (trainer->end_time.has_value()) return;
  trainer->end_time = clock_.MonotonicNow();
  trainer->end_cause = cause;
  trainer->end_reason = reason;
}

TrainerTable::Report TrainerTable::BuildReport() {
  MutexLock lock(&mutex_);
  const absl::Time now = clock_.MonotonicNow();
  ended_.remove_if([&](const EndedTrainer& ended) {
    return ended.sent_time + options_.keep_ended < now;
  });
  Report report = {.version = version_};
  for (const EndedTrainer& ended : ended_) {
    report.trainers.push_back(ended.status);
  }
  for (const auto& [slot, trainer] : trainers_) {
    report.trainers.push_back(trainer.status);
    report.trainers.back().set_progress_counter(trainer.progress_counter);
  }
  return report;
}

void TrainerTable::ReportSent(int64_t version) {
  {
    MutexLock lock(&mutex_);
    const absl::Time now = clock_.MonotonicNow();
    sent_time_ = now;
    for (EndedTrainer& ended : ended_) {
      if (ended.version <= version) {
        ended.sent_time = std::min(ended.sent_time, now);
      }
    }
  }
  wake_();  // a slot whose end is told may be used again
}

void TrainerTable::StreamBroken() {
  MutexLock lock(&mutex_);
  for (EndedTrainer& ended : ended_) {
    ended.sent_time = absl::InfiniteFuture();
  }
}

absl::Duration TrainerTable::TimeLeft(int64_t version) const {
  if (urgent_version_ > version) return absl::ZeroDuration();
  if (version_ == version) return absl::InfiniteDuration();
  const absl::Time due = sent_time_ + options_.progress_interval;
  return std::max(due - clock_.MonotonicNow(), absl::ZeroDuration());
}

absl::Duration TrainerTable::TimeToReport(int64_t version) const {
  MutexLock lock(&mutex_);
  return TimeLeft(version);
}

void TrainerTable::WaitForChange(int64_t version, absl::Duration timeout) {
  MutexLock lock(&mutex_);
  const absl::Time end = clock_.MonotonicNow() + timeout;
  while (true) {
    const absl::Duration left =
        std::min(end - clock_.MonotonicNow(), TimeLeft(version));
    if (left <= absl::ZeroDuration() || !changed_.WaitFor(&mutex_, left)) {
      return;
    }
  }
}

void TrainerTable::Poke() {
  MutexLock lock(&mutex_);
  Changed();
}

bool TrainerTable::EndUnsent(int32_t slot) const {
  return std::any_of(ended_.begin(), ended_.end(), [slot](const auto& ended) {
    return ended.status.slot() == slot &&
           ended.sent_time == absl::InfiniteFuture();
  });
}

void TrainerTable::CollectStarts(ProcessWork* work) {
  const absl::Time now = clock_.MonotonicNow();
  for (const Action& action : Plan()) {
    if (action.kind != Action::Kind::kStart || closed_) continue;
    // The coordinator must hear of an end before of the successor, for it
    // keeps one status a slot.
    if (EndUnsent(action.slot)) continue;
    SlotHistory& history = history_[action.slot];
    if (history.job != action.assignment.job()) {
      history = {.job = action.assignment.job()};
    }
    if (now < history.not_before) {
      work->next = std::min(work->next, history.not_before);
      continue;
    }
    Trainer& trainer = trainers_[action.slot];
    trainer.assignment = action.assignment;
    if (trainer.assignment.phase() == Assignment::RUN) {
      trainer.assignment.set_phase(Assignment::STANDBY);
    }
    trainer.progress_time = now;
    trainer.order_number = 1;
    trainer.status.set_job(action.assignment.job());
    trainer.status.set_slot(action.slot);
    trainer.status.set_incarnation(SecureRandomHex(8));
    trainer.status.set_phase(TrainerStatus::STARTING);
    trainer.status.set_applied_step(-1);
    trainer.status.set_failed_rank(-1);
    work->starts.push_back({action.assignment, trainer.status.incarnation()});
    Changed();
  }
}

void TrainerTable::CollectSignals(ProcessWork* work) {
  const absl::Time now = clock_.MonotonicNow();
  const absl::Duration hang_limit =
      ToDuration(terms_.hang_limit(), absl::Seconds(60));
  for (auto& [slot, trainer] : trainers_) {
    if (!trainer.has_process) continue;
    const absl::Time hang_time = trainer.progress_time + hang_limit;
    if (!trainer.end_time.has_value() && now >= hang_time) {
      OrderEnd(
          EndCause::kHang,
          absl::StrCat("made no progress for ",
                       absl::FormatDuration(hang_limit), " and was killed"),
          &trainer);
    }
    if (!trainer.end_time.has_value()) {
      work->next = std::min(work->next, hang_time);
      continue;
    }
    // Who hangs does not listen.
    const absl::Duration patience = trainer.end_cause == EndCause::kHang
                                        ? absl::ZeroDuration()
                                        : options_.kill_after;
    const absl::Time kill_time = *trainer.end_time + patience;
    const std::string& incarnation = trainer.status.incarnation();
    if (now >= kill_time) {
      if (!std::exchange(trainer.kill_sent, true)) {
        work->signals.push_back({incarnation, SIGKILL});
      }
      continue;
    }
    work->next = std::min(work->next, kill_time);
    if (!std::exchange(trainer.term_sent, true)) {
      work->signals.push_back({incarnation, SIGTERM});
    }
  }
}

ProcessWork TrainerTable::TakeWork() {
  MutexLock lock(&mutex_);
  ProcessWork work;
  CollectStarts(&work);
  CollectSignals(&work);
  return work;
}

void TrainerTable::Started(const std::string& incarnation, int64_t process_id) {
  MutexLock lock(&mutex_);
  if (Trainer* trainer = Find(incarnation)) {
    trainer->status.set_process_id(process_id);
    Changed();
  }
}

void TrainerTable::Refused(const std::string& incarnation,
                           const std::string& error) {
  MutexLock lock(&mutex_);
  Trainer* trainer = Find(incarnation);
  if (trainer == nullptr) return;
  trainer->has_process = false;
  trainer->status.set_phase(TrainerStatus::FAILED);
  trainer->status.set_error(error);
  trainer->status.set_error_is_permanent(true);
  // The job may have been taken away meanwhile.
  GiveOrders();
  Changed();
}

void TrainerTable::WaitForLastWords(const std::string& incarnation,
                                    absl::Duration timeout) {
  MutexLock lock(&mutex_);
  const absl::Time end = clock_.MonotonicNow() + timeout;
  while (true) {
    const Trainer* trainer = Find(incarnation);
    if (trainer == nullptr || !trainer->connected) return;
    const absl::Duration left = end - clock_.MonotonicNow();
    if (left <= absl::ZeroDuration()) return;
    changed_.WaitFor(&mutex_, left);
  }
}

EndCause TrainerTable::Ended(const std::string& incarnation, int exit_status,
                             const std::string& text, EndCause cause) {
  MutexLock lock(&mutex_);
  Trainer* trainer = Find(incarnation);
  if (trainer == nullptr) return cause;
  std::string error = text;
  if (trainer->end_time.has_value()) {
    cause = trainer->end_cause;
    error = trainer->end_reason;
  }
  TrainerStatus& status = trainer->status;
  status.set_exit_status(exit_status);
  if (status.phase() == TrainerStatus::FAILED && status.error_is_permanent() &&
      cause != EndCause::kOrdered) {
    // Starting it again would end the same way: keep what it said for as long
    // as it is wanted here.
    trainer->has_process = false;
    GiveOrders();
    Changed();
    return cause;
  }
  // An error it had time to name says more than its exit status.
  if (status.phase() == TrainerStatus::FAILED && !status.error().empty()) {
    error = absl::StrCat(status.error(), " (", error, ")");
  }
  status.set_phase(TrainerStatus::EXITED);
  status.set_error(error);
  SlotHistory& history = history_[status.slot()];
  if (cause != EndCause::kOrdered) {
    const int doublings = std::min(history.ends_in_a_row++, 20);
    // The first restart is at once: recovery must be quick.
    history.not_before =
        clock_.MonotonicNow() +
        (doublings == 0
             ? absl::ZeroDuration()
             : std::min(options_.restart_pause *
                            static_cast<double>(1 << (doublings - 1)),
                        options_.max_restart_pause));
  }
  // One end a slot: the coordinator remembers one, and would count two that
  // are told in turn again and again. The earlier one has been told, or its
  // successor had not been started.
  ended_.remove_if([&status](const EndedTrainer& ended) {
    return ended.status.slot() == status.slot();
  });
  Changed();
  ended_.push_back({.status = std::move(status), .version = version_});
  if (ended_.size() > kMaxEnded) ended_.pop_front();
  trainers_.erase(ended_.back().status.slot());
  return cause;
}

absl::StatusOr<int64_t> TrainerTable::Connect(const TrainerStatus& status) {
  MutexLock lock(&mutex_);
  Trainer* trainer = Find(status.incarnation());
  if (trainer == nullptr || !trainer->has_process ||
      status.job() != trainer->status.job() ||
      status.slot() != trainer->status.slot()) {
    return absl::PermissionDeniedError(absl::StrCat(
        "no trainer '", status.incarnation(), "' of ", status.job(),
        " in slot ", status.slot(), " was started by this daemon"));
  }
  trainer->connected = true;
  changed_.NotifyAll();  // the writer of an earlier stream ends
  return ++trainer->stream;
}

void TrainerTable::Reported(const std::string& incarnation, int64_t stream,
                            const lory::internal::v1::TrainerReport& report) {
  bool ending = false;
  {
    MutexLock lock(&mutex_);
    Trainer* trainer = Find(incarnation);
    if (trainer == nullptr || trainer->stream != stream) return;
    if (report.progress_counter() != trainer->progress_counter) {
      trainer->progress_counter = report.progress_counter();
      trainer->progress_time = clock_.MonotonicNow();
    }
    TrainerStatus status = report.status();
    // What only the daemon knows.
    status.set_process_id(trainer->status.process_id());
    if (MessageDifferencer::Equals(status, trainer->status)) return;
    const bool stepped = OnlyProgressDiffers(trainer->status, status);
    trainer->status = std::move(status);
    ending = Follow(trainer);
    // The first step after anything else may end a recovery.
    if (std::exchange(trainer->stepped, stepped) && stepped) {
      Stepped();
    } else {
      Changed();
    }
  }
  if (ending) wake_();
}

void TrainerTable::Disconnected(const std::string& incarnation,
                                int64_t stream) {
  MutexLock lock(&mutex_);
  Trainer* trainer = Find(incarnation);
  if (trainer == nullptr || trainer->stream != stream) return;
  trainer->connected = false;
  changed_.NotifyAll();
}

bool TrainerTable::Follow(Trainer* trainer) {
  const TrainerStatus& status = trainer->status;
  if (status.phase() == TrainerStatus::TRAINING && status.applied_step() > 0) {
    history_[status.slot()].ends_in_a_row = 0;
  }
  if (status.phase() == TrainerStatus::PREPARED &&
      status.generation() > trainer->prepared_generation) {
    trainer->prepared_generation = status.generation();
    GiveOrders();  // RUN of this generation may have waited for it
  }
  if (status.phase() == TrainerStatus::FAILED && !status.error_is_permanent()) {
    OrderEnd(EndCause::kExit, "replaced after its failure", trainer);
    return true;
  }
  return false;
}

std::optional<NumberedOrder> TrainerTable::WaitForOrder(
    const std::string& incarnation, int64_t stream, int64_t seen,
    absl::Duration timeout) {
  MutexLock lock(&mutex_);
  const absl::Time end = clock_.MonotonicNow() + timeout;
  while (true) {
    const Trainer* trainer = Find(incarnation);
    if (trainer == nullptr || trainer->stream != stream) return std::nullopt;
    const absl::Duration left = end - clock_.MonotonicNow();
    if (trainer->order_number > seen || left <= absl::ZeroDuration()) {
      NumberedOrder order = {.number = trainer->order_number};
      *order.order.mutable_assignment() = trainer->assignment;
      *order.order.mutable_collective_timeout() = terms_.collective_timeout();
      for (const std::string& path : trainer->parts_to_delete) {
        order.order.add_parts_to_delete(path);
      }
      return order;
    }
    changed_.WaitFor(&mutex_, left);
  }
}

bool TrainerTable::DeletePart(const std::string& incarnation,
                              const std::string& path) {
  MutexLock lock(&mutex_);
  Trainer* trainer = Find(incarnation);
  if (trainer == nullptr || !trainer->has_process) return false;
  std::vector<std::string>& parts = trainer->parts_to_delete;
  parts.push_back(path);
  if (parts.size() > kMaxPartsToDelete) parts.erase(parts.begin());
  ++trainer->order_number;
  changed_.NotifyAll();
  return true;
}

std::vector<TrainerTable::Snapshot> TrainerTable::Snapshots() const {
  MutexLock lock(&mutex_);
  std::vector<Snapshot> snapshots;
  for (const auto& [slot, trainer] : trainers_) {
    snapshots.push_back({trainer.status, trainer.assignment});
  }
  return snapshots;
}

bool TrainerTable::Has(const std::string& job) const {
  MutexLock lock(&mutex_);
  const auto is_of_job = [&job](const auto& entry) {
    return entry.second.status.job() == job;
  };
  return std::any_of(trainers_.begin(), trainers_.end(), is_of_job) ||
         std::any_of(desired_.assignments().begin(),
                     desired_.assignments().end(),
                     [&job](const Assignment& assignment) {
                       return assignment.job() == job;
                     });
}

}  // namespace lory::daemon
