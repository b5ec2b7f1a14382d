#include "worker/daemon/trainer_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace lory::daemon {
namespace {

constexpr size_t kOutputBytes = 64 << 10;

std::vector<std::string> EnvironmentWith(
    const std::map<std::string, std::string>& added) {
  std::vector<std::string> result;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(*entry, absl::MaxSplits('=', 1));
    if (added.count(pair.first) == 0) result.emplace_back(*entry);
  }
  for (const auto& [name, value] : added) {
    result.push_back(absl::StrCat(name, "=", value));
  }
  return result;
}

std::vector<char*> PointersTo(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

absl::Status ErrnoText(int error, const std::string& what) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(text)
                         : absl::InternalError(text);
}

// posix_spawn with output to `output_fd`, input from nowhere, all other
// descriptors closed, default signals, a group of its own.
int Spawn(const std::string& binary, int output_fd, char* const* arguments,
          char* const* environment, pid_t* pid) {
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, output_fd, 1);
  ::posix_spawn_file_actions_adddup2(&files, output_fd, 2);
  ::posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
  const int error = ::posix_spawn(pid, binary.c_str(), &files, &attributes,
                                  arguments, environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  return error;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TrainerProcess>> TrainerProcess::Start(
    const Options& options) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) {
    return ErrnoText(errno, "making a pipe");
  }
  auto process = absl::WrapUnique(new TrainerProcess);
  process->waited_ = true;  // nothing to wait for yet
  process->output_fd_ = pipe_fds[0];
  const absl::Cleanup close_write_end = [&] { ::close(pipe_fds[1]); };
  ::fcntl(process->output_fd_, F_SETFL, O_NONBLOCK);

  std::vector<std::string> arguments = {options.binary};
  arguments.insert(arguments.end(), options.arguments.begin(),
                   options.arguments.end());
  std::vector<std::string> environment = EnvironmentWith(options.environment);
  pid_t pid = 0;
  const int error =
      Spawn(options.binary, pipe_fds[1], PointersTo(arguments).data(),
            PointersTo(environment).data(), &pid);
  if (error != 0) {
    return ErrnoText(error, absl::StrCat("starting ", options.binary));
  }
  process->pid_ = pid;
  process->waited_ = false;
  // Not a race: the number stays taken until we wait for the process.
  process->pid_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (process->pid_fd_ < 0) return ErrnoText(errno, "pidfd_open");
  return process;
}

TrainerProcess::~TrainerProcess() {
  if (!waited_) {
    Signal(SIGKILL);
    (void)Wait();
  }
  if (pid_fd_ >= 0) ::close(pid_fd_);
  if (output_fd_ >= 0) ::close(output_fd_);
}

void TrainerProcess::Signal(int signal) {
  if (!waited_) ::kill(static_cast<pid_t>(pid_), signal);
}

std::string TrainerProcess::ReadOutput() {
  std::string output(kOutputBytes, '\0');
  const ssize_t got = ::read(output_fd_, output.data(), output.size());
  output.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return output;
}

ProcessEnd TrainerProcess::Wait() {
  int status = 0;
  while (::waitpid(static_cast<pid_t>(pid_), &status, 0) < 0 &&
         errno == EINTR) {
  }
  waited_ = true;
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return {128 + signal, absl::StrCat("was ended by signal ", signal, " (",
                                       ::strsignal(signal), ")")};
  }
  return {WEXITSTATUS(status),
          absl::StrCat("exited with status ", WEXITSTATUS(status))};
}

}  // namespace lory::daemon
