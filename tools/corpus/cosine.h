#ifndef LORY_TOOLS_CORPUS_COSINE_H_
#define LORY_TOOLS_CORPUS_COSINE_H_

#include <cmath>
#include <cstdint>

#include "tools/corpus/embed.h"

namespace lory::corpus {

// What a cosine is divided by for a row of this length: 1 where it is within a
// millionth of it, as of vectors made so, and for zeros.
inline double CosineDivisor(float length) {
  const bool is_one = std::abs(length - 1) < 1e-6f || length == 0;
  return is_one ? 1 : length;
}

inline double CosineDivisor(const float* row, int32_t dimensions) {
  return CosineDivisor(
      static_cast<float>(std::sqrt(Similarity(row, row, dimensions))));
}

// Of rows of any length; 0 where there are only zeros.
inline double Cosine(const float* a, const float* b, int32_t dimensions) {
  return Similarity(a, b, dimensions) /
         (CosineDivisor(a, dimensions) * CosineDivisor(b, dimensions));
}

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_COSINE_H_
