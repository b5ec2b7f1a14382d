#include "worker/device/cpu.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <malloc.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>

namespace lory::device {

void SetUpCpu(const CpuOptions& options) {
  // Large blocks from the heap instead of one mapping each, and no trimming:
  // see the header.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
  at::set_num_threads(options.thread_count > 0 ? options.thread_count
                                               : UsableCoreCount());
  at::globalContext().setFlushDenormal(true);
}

int UsableCoreCount() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return 1;
  return CPU_COUNT(&cores);
}

int64_t ResidentBytes() {
  // Second number of statm: pages in memory.
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long long total = 0;
  long long resident = 0;
  const int read = std::fscanf(file, "%lld %lld", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace lory::device
