#ifndef LORY_WORKER_DAEMON_APP_H_
#define LORY_WORKER_DAEMON_APP_H_

#include "worker/daemon/flags.h"

namespace lory::daemon {

// Runs a daemon until SIGTERM or SIGINT, or until it cannot go on; returns
// the program's exit status. Trainers are ended first. Call it before any
// thread is started: it blocks these signals for all of them.
int RunApp(const Flags& flags);

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_APP_H_
