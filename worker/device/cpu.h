#ifndef LORY_WORKER_DEVICE_CPU_H_
#define LORY_WORKER_DEVICE_CPU_H_

#include <cstdint>

// The host as a training device.
namespace lory::device {

struct CpuOptions {
  // Threads that LibTorch works with; 0: one a core this process may use.
  int thread_count = 0;
};

// Sets the process up for training on its CPU. Call once, first thing in main,
// before any tensor exists.
//
// Freed memory is kept instead of being given back to the kernel: a step frees
// and asks for the same few large buffers, and mapping them anew costs more
// than some of the arithmetic (measured: a third of a feed-forward). Numbers
// too small to be normal become zero, which no training run can tell and which
// spares their slow path.
void SetUpCpu(const CpuOptions& options);

// Cores this process may use: its affinity, not the machine's size.
int UsableCoreCount();

// Bytes the process has in memory now.
int64_t ResidentBytes();

}  // namespace lory::device

#endif  // LORY_WORKER_DEVICE_CPU_H_
