#include "tools/corpus/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace lory::corpus {

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
  const int64_t threads = std::min<int64_t>(
      pieces, std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::jthread> others;
  for (int64_t i = 1; i < threads; ++i) others.emplace_back(work);
  work();
}

}  // namespace lory::corpus
