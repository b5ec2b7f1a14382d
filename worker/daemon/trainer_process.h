#ifndef LORY_WORKER_DAEMON_TRAINER_PROCESS_H_
#define LORY_WORKER_DAEMON_TRAINER_PROCESS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace lory::daemon {

// How a process ended.
struct ProcessEnd {
  int exit_status = 0;  // 128 + n for signal n
  std::string text;     // for people: "exited with status 3"
};

// A child process that is watched through descriptors, so that one poll()
// waits for ends and output of all of them. Thread-compatible.
class TrainerProcess {
 public:
  struct Options {
    std::string binary;
    std::vector<std::string> arguments;              // without the binary
    std::map<std::string, std::string> environment;  // added to our own
  };

  // Starts it in a process group of its own, with nothing of ours but its
  // output. Never forks: gRPC has threads. The thread that calls this must
  // live as long as the daemon, for the child asks the kernel to be killed
  // with it (PR_SET_PDEATHSIG goes by thread).
  //
  // NOT_FOUND: no such binary. Otherwise the operating system's error.
  static absl::StatusOr<std::unique_ptr<TrainerProcess>> Start(
      const Options& options);

  // Kills it and waits for its end, if it has not been waited for.
  ~TrainerProcess();
  TrainerProcess(const TrainerProcess&) = delete;
  TrainerProcess& operator=(const TrainerProcess&) = delete;

  int64_t pid() const { return pid_; }
  int end_fd() const { return pid_fd_; }        // readable once it has ended
  int output_fd() const { return output_fd_; }  // stdout and stderr

  // Sends `signal`; nothing happens if it has ended.
  void Signal(int signal);

  // What it has written since the last call; does not block.
  std::string ReadOutput();

  // Waits for the end and says how it was. Once.
  ProcessEnd Wait();

 private:
  TrainerProcess() = default;

  int64_t pid_ = 0;
  int pid_fd_ = -1;
  int output_fd_ = -1;
  bool waited_ = false;
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_TRAINER_PROCESS_H_
