#ifndef LORY_COMMON_BASE_FLOAT_RANGE_H_
#define LORY_COMMON_BASE_FLOAT_RANGE_H_

#include <limits>

namespace lory {

// Whether a 32-bit float, as models compute with, has `value` as a number above
// 0 and below infinity. Written so that what is no number fails.
inline bool IsPositiveFloat(double value) {
  return value >= std::numeric_limits<float>::min() &&
         value <= std::numeric_limits<float>::max();
}

// What such a number is called.
inline constexpr char kPositiveFloat[] =
    "a number above 0 that a 32-bit float holds";

}  // namespace lory

#endif  // LORY_COMMON_BASE_FLOAT_RANGE_H_
