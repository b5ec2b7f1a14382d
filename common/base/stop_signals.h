#ifndef LORY_COMMON_BASE_STOP_SIGNALS_H_
#define LORY_COMMON_BASE_STOP_SIGNALS_H_

namespace lory {

// SIGTERM and SIGINT as a file descriptor that becomes readable; the caller
// owns it. Both are blocked in the calling thread and in those it starts from
// then on, so call it before any thread starts. Writing to a closed connection
// is an error from then on, no signal.
int StopSignals();

// Writing beyond `ulimit -f` is an error from then on, too, which is told with
// the file's name; the signal would end the process without a word. For the
// beginning of every main.
void IgnoreFileSizeSignal();

// Blocks until `fd` is readable.
void WaitUntilReadable(int fd);

}  // namespace lory

#endif  // LORY_COMMON_BASE_STOP_SIGNALS_H_
