#ifndef LORY_TESTS_UNIT_TOOLS_CORPUS_ONE_CORE_H_
#define LORY_TESTS_UNIT_TOOLS_CORPUS_ONE_CORE_H_

#include <sched.h>

#include "gtest/gtest.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {

// While it lives ParallelFor has one thread: they are as many as the cores that
// may be used.
class OneCore {
 public:
  OneCore() {
    sched_getaffinity(0, sizeof(before_), &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &before_)) ++cpu;
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    EXPECT_EQ(UsableCores(), 1);
  }
  ~OneCore() { sched_setaffinity(0, sizeof(before_), &before_); }

 private:
  cpu_set_t before_;
};

}  // namespace lory::corpus

#endif  // LORY_TESTS_UNIT_TOOLS_CORPUS_ONE_CORE_H_
