#ifndef LORY_COMMON_BASE_STOP_SIGNALS_H_
#define LORY_COMMON_BASE_STOP_SIGNALS_H_

namespace lory {

// SIGTERM and SIGINT as a file descriptor that becomes readable; the caller
// owns it. Both are blocked in the calling thread and in those it starts from
// then on, so call it before any thread starts. Writing to a closed connection
// is an error from then on, no signal.
int StopSignals();

// Blocks until `fd` is readable.
void WaitUntilReadable(int fd);

}  // namespace lory

#endif  // LORY_COMMON_BASE_STOP_SIGNALS_H_
