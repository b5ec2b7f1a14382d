#ifndef LORY_TOOLS_CORPUS_PARALLEL_H_
#define LORY_TOOLS_CORPUS_PARALLEL_H_

#include <cstdint>
#include <functional>

namespace lory::corpus {

// The cores that the calling thread may run on, not all of the machine's.
int64_t UsableCores();

// Calls use(begin, end) for consecutive pieces of [0, count), at most `grain`
// long, from one thread a usable core; returns when all are done. Which thread
// gets which piece is left to chance: results must not depend on it.
void ParallelFor(int64_t count, int64_t grain,
                 const std::function<void(int64_t, int64_t)>& use);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_PARALLEL_H_
