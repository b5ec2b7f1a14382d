#ifndef LORY_WORKER_TRAIN_APP_H_
#define LORY_WORKER_TRAIN_APP_H_

#include <cstdint>
#include <string>

namespace lory::train {

// What the daemon says on the command line.
struct Flags {
  std::string socket;  // unix:path of the daemon's TrainerService
  std::string job;     // jobs/{job}
  int32_t slot = 0;
  std::string incarnation;
  std::string listen_host = "127.0.0.1";  // as peers know this host
  int64_t parent_pid = 0;                 // 0: not checked
  std::string device = "cpu";
  int threads = 0;     // 0: one a core
  std::string worker;  // id; names the trace
  bool json_log = false;
};

// Wires a trainer up and runs it to its end. Returns the exit status: 0 when
// told to end, 1 after an error that was reported, 2 for flags that cannot be.
int RunTrainer(const Flags& flags);

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_APP_H_
