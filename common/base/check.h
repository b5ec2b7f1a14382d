#ifndef LORY_COMMON_BASE_CHECK_H_
#define LORY_COMMON_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

// LORY_CHECK(condition): for mistakes of the programmer, never of the user.
// Always on; prints the place and ends the process.
#define LORY_CHECK(condition)                                               \
  do {                                                                      \
    if (!(condition)) [[unlikely]] {                                        \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, \
                   #condition);                                             \
      std::abort();                                                         \
    }                                                                       \
  } while (false)

#endif  // LORY_COMMON_BASE_CHECK_H_
