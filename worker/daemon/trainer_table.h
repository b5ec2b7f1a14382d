#ifndef LORY_WORKER_DAEMON_TRAINER_TABLE_H_
#define LORY_WORKER_DAEMON_TRAINER_TABLE_H_

#include <csignal>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "lory/internal/v1/trainer.pb.h"
#include "lory/v1/worker.pb.h"
#include "worker/daemon/end_cause.h"
#include "worker/daemon/reconcile.h"

namespace lory::daemon {

// What is to be done to processes now.
struct ProcessWork {
  struct Start {
    lory::v1::Assignment assignment;
    std::string incarnation;
  };
  struct Signal {
    std::string incarnation;
    int signal = SIGTERM;
  };
  std::vector<Start> starts;
  std::vector<Signal> signals;
  // Ask again then, even if nothing changes; InfiniteFuture: need not.
  absl::Time next = absl::InfiniteFuture();
};

// The newest order for a trainer.
struct NumberedOrder {
  lory::internal::v1::TrainerOrder order;
  int64_t number = 0;
};

// All a daemon knows: what the coordinator wants, which trainers there are
// and what they said last. Everyone in the daemon meets here: the session
// with the coordinator, the thread that watches processes, the trainers'
// streams, metrics and control service. Thread-safe; blocks in the Wait
// methods only.
class TrainerTable {
 public:
  struct Options {
    int32_t slot_count = 1;
    absl::Duration kill_after = absl::Seconds(5);  // from SIGTERM to SIGKILL
    // Ends are reported for so long after they were first sent.
    absl::Duration keep_ended = absl::Seconds(3);
    // Pause before the n-th restart in a row that got no step done; doubles
    // from the second on.
    absl::Duration restart_pause = absl::Milliseconds(250);
    absl::Duration max_restart_pause = absl::Seconds(5);
    // Steps alone are told so often, everything else at once: a small model
    // makes many steps a second, and each report costs the coordinator.
    absl::Duration progress_interval = absl::Milliseconds(250);
  };

  // `wake` is called, from any thread and never under the lock, when
  // TakeWork may have something new to say.
  TrainerTable(const Options& options, Clock& clock,
               std::function<void()> wake);

  // ---- the session with the coordinator ----
  void SetTerms(const lory::v1::WorkerSession& terms);
  void SetDesired(const lory::v1::DesiredState& desired);
  // From now on nothing is wanted: all trainers are to end.
  void Close();
  bool empty() const;  // no process is left

  struct Report {
    std::vector<lory::v1::TrainerStatus> trainers;  // ended ones first
    int64_t version = 0;                            // grows with every change
  };
  Report BuildReport();
  // The report was written to the stream, or the stream that carried the
  // earlier ones is gone and all has to be told again.
  void ReportSent(int64_t version);
  void StreamBroken();
  // How long what has changed after `version` may wait to be told: zero when
  // it is more than steps, infinite when nothing has changed.
  absl::Duration TimeToReport(int64_t version) const;
  // Blocks until that time has come, for at most `timeout`.
  void WaitForChange(int64_t version, absl::Duration timeout);
  // Lets it return although nothing has changed.
  void Poke();

  // ---- the thread that watches processes ----
  ProcessWork TakeWork();
  void Started(const std::string& incarnation, int64_t process_id);
  // The trainer cannot be started here and a restart would not help.
  void Refused(const std::string& incarnation, const std::string& error);
  // Blocks until the stream of a trainer whose process is gone has been read to
  // its end, so that Ended tells its last words too, for at most `timeout`.
  void WaitForLastWords(const std::string& incarnation, absl::Duration timeout);
  // The process is gone, or never was (`cause` kStart). Returns the cause,
  // corrected by what was ordered.
  EndCause Ended(const std::string& incarnation, int exit_status,
                 const std::string& text, EndCause cause);

  // ---- the trainers' streams ----
  // Number of a new stream of a trainer; it supersedes an earlier one.
  //
  // PERMISSION_DENIED: no such trainer runs here.
  absl::StatusOr<int64_t> Connect(const lory::v1::TrainerStatus& status);
  // The newest report on that stream; ignored when superseded.
  void Reported(const std::string& incarnation, int64_t stream,
                const lory::internal::v1::TrainerReport& report);
  // The stream has ended.
  void Disconnected(const std::string& incarnation, int64_t stream);
  // Blocks until there is an order newer than number `seen`, for at most
  // `timeout` (then number == seen). Nothing: the stream is to end.
  std::optional<NumberedOrder> WaitForOrder(const std::string& incarnation,
                                            int64_t stream, int64_t seen,
                                            absl::Duration timeout);
  // Has the trainer delete a part's file. False: it is gone.
  bool DeletePart(const std::string& incarnation, const std::string& path);

  // ---- people and metrics ----
  struct Snapshot {
    lory::v1::TrainerStatus status;
    lory::v1::Assignment assignment;
  };
  std::vector<Snapshot> Snapshots() const;
  // Whether a trainer of `job` is wanted or there.
  bool Has(const std::string& job) const;

 private:
  struct Trainer {
    lory::v1::Assignment assignment;  // newest order
    lory::v1::TrainerStatus status;
    bool has_process = true;
    int64_t prepared_generation = 0;
    int64_t progress_counter = 0;
    absl::Time progress_time;
    bool stepped = false;  // its newest change was a step, and no more
    // When it was told to end; and why, for people.
    std::optional<absl::Time> end_time;
    std::string end_reason;
    EndCause end_cause = EndCause::kOrdered;
    bool kill_sent = false;
    bool term_sent = false;
    std::vector<std::string> parts_to_delete;
    int64_t order_number = 0;
    int64_t stream = 0;
    bool connected = false;
  };
  struct EndedTrainer {
    lory::v1::TrainerStatus status;
    int64_t version = 0;
    absl::Time sent_time = absl::InfiniteFuture();
  };
  // Restarts in a slot that got no step done.
  struct SlotHistory {
    std::string job;
    int ends_in_a_row = 0;
    absl::Time not_before = absl::InfinitePast();
  };

  Trainer* Find(const std::string& incarnation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Stepped() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration TimeLeft(int64_t version) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Order(const lory::v1::Assignment& assignment, Trainer* trainer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OrderEnd(EndCause cause, const std::string& reason, Trainer* trainer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Acts on a new status; true: the trainer is to end.
  bool Follow(Trainer* trainer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<Action> Plan() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveOrders() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CollectStarts(ProcessWork* work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CollectSignals(ProcessWork* work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool EndUnsent(int32_t slot) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  Clock& clock_;
  const std::function<void()> wake_;

  mutable Mutex mutex_;
  CondVar changed_;
  int64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
  // Of the newest change that was more than a step.
  int64_t urgent_version_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::Time sent_time_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  lory::v1::WorkerSession terms_ ABSL_GUARDED_BY(mutex_);
  lory::v1::DesiredState desired_ ABSL_GUARDED_BY(mutex_);
  std::map<int32_t, Trainer> trainers_ ABSL_GUARDED_BY(mutex_);  // by slot
  std::map<int32_t, SlotHistory> history_ ABSL_GUARDED_BY(mutex_);
  std::list<EndedTrainer> ended_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_TRAINER_TABLE_H_
