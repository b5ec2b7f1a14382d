#ifndef LORY_WORKER_DAEMON_SUPERVISOR_H_
#define LORY_WORKER_DAEMON_SUPERVISOR_H_

#include <poll.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "worker/daemon/assignment_check.h"
#include "worker/daemon/trainer_log.h"
#include "worker/daemon/trainer_process.h"
#include "worker/daemon/trainer_table.h"

namespace lory::daemon {

// Wakes a thread that waits in poll(). Thread-safe.
class WakeEvent {
 public:
  WakeEvent();
  ~WakeEvent();
  WakeEvent(const WakeEvent&) = delete;
  WakeEvent& operator=(const WakeEvent&) = delete;

  void Notify();
  void Clear();
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Starts, watches and ends the processes of a TrainerTable. All of it happens
// in the thread that calls Run, which must live as long as the daemon: see
// TrainerProcess::Start.
class Supervisor {
 public:
  struct Options {
    std::string trainer_binary;
    std::string socket_address;  // unix:path of the trainer service
    std::string worker_id;
    std::string listen_host;  // where trainers listen for their peers
    std::string device;       // cpu or cuda
    int threads = 1;          // of a trainer, unless its job says otherwise
    std::string log_folder;
    int64_t log_limit_bytes = 16 << 20;
    AllowedRoots roots;
  };

  // `on_end` hears of every end but those of trainers that never started.
  // `wake` is what the table notifies.
  Supervisor(const Options& options, TrainerTable& table, WakeEvent& wake,
             Clock& clock, std::function<void(EndCause)> on_end);
  ~Supervisor();

  // Returns once `stop` is requested (and `wake` notified). Then every
  // process is gone.
  void Run(std::stop_token stop);

 private:
  struct Child {
    std::unique_ptr<TrainerProcess> process;
    std::unique_ptr<TrainerLog> log;
    bool output_closed = false;
  };

  void Start(const ProcessWork::Start& start);
  absl::StatusOr<std::unique_ptr<TrainerProcess>> Spawn(
      const ProcessWork::Start& start) const;
  // Waits for output, ends, `wake` or the time `until`.
  void Watch(absl::Time until);
  void Reap(const std::string& incarnation);

  const Options options_;
  TrainerTable& table_;
  WakeEvent& wake_;
  Clock& clock_;
  const std::function<void(EndCause)> on_end_;
  std::map<std::string, Child> children_;  // by incarnation
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_SUPERVISOR_H_
