#ifndef LORY_COMMON_BASE_RANDOM_H_
#define LORY_COMMON_BASE_RANDOM_H_

#include <cstdint>
#include <string>

namespace lory {

// A counter-based generator: the n-th number of a seed is SplitMix64 of
// seed + n (Steele, Lea, Flood, OOPSLA 2014), so a stream can be resumed by
// keeping one integer. Not for secrets. Thread-compatible.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next();
  // Uniform in [0, bound), without modulo bias; bound > 0.
  uint64_t Below(uint64_t bound);
  // Uniform in [0, 1).
  double NextDouble();

 private:
  uint64_t state_;
};

// The mixing function of SplitMix64: a bijection of 64-bit numbers.
uint64_t Mix64(uint64_t value);

// `byte_count` unpredictable bytes from the operating system, as hex text: for
// tokens and ids. The only source of true randomness in the project.
std::string SecureRandomHex(int byte_count);

// A random (version 4) UUID, for request ids.
std::string RandomUuid();

}  // namespace lory

#endif  // LORY_COMMON_BASE_RANDOM_H_
