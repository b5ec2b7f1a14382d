#include "tools/corpus/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace lory::corpus {

int64_t UsableCores() {
  cpu_set_t own;
  const bool known = sched_getaffinity(0, sizeof(own), &own) == 0;
  return std::max<int64_t>(
      1, known ? CPU_COUNT(&own) : std::thread::hardware_concurrency());
}

void ParallelFor(int64_t count, int64_t grain,
                 const std::function<void(int64_t, int64_t)>& use) {
  std::atomic<int64_t> next = 0;
  const auto work = [&] {
    while (true) {
      const int64_t begin = next.fetch_add(grain);
      if (begin >= count) return;
      use(begin, std::min(begin + grain, count));
    }
  };
  const int64_t pieces = (count + grain - 1) / grain;
  const int64_t threads = std::min(pieces, UsableCores());
  std::vector<std::jthread> others;
  for (int64_t i = 1; i < threads; ++i) others.emplace_back(work);
  work();
}

}  // namespace lory::corpus
