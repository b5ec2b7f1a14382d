#include "common/base/stop_signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "gtest/gtest.h"

namespace lory {
namespace {

bool IsReadable(int fd) {
  pollfd waited = {.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&waited, 1, 0) == 1;
}

TEST(StopSignals, AreWaitedForInsteadOfEndingTheProcess) {
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  const int fd = StopSignals();
  ASSERT_GE(fd, 0);
  for (const int signal : {SIGTERM, SIGINT}) {
    EXPECT_FALSE(IsReadable(fd));
    ::raise(signal);
    WaitUntilReadable(fd);
    signalfd_siginfo info;
    ASSERT_EQ(::read(fd, &info, sizeof(info)), ssize_t{sizeof(info)});
    EXPECT_EQ(info.ssi_signo, static_cast<uint32_t>(signal));
  }
  ::close(fd);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(StopSignals, AClosedConnectionIsAnErrorOnly) {
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  ::close(StopSignals());
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  EXPECT_EQ(::write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  ::close(ends[1]);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(IgnoreFileSizeSignal, AFileThatReachesTheLimitIsAnErrorOnly) {
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_DFL);
  IgnoreFileSizeSignal();
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const rlimit small = {.rlim_cur = 2, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const ssize_t whole = ::write(::fileno(file), "ab", 2);
  const ssize_t beyond = ::write(::fileno(file), "c", 1);
  const int error = errno;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, old_handler);
  std::fclose(file);
  EXPECT_EQ(whole, 2);
  EXPECT_EQ(beyond, -1);
  EXPECT_EQ(error, EFBIG);
}

}  // namespace
}  // namespace lory
