#ifndef LORY_WORKER_OPS_SIMD_H_
#define LORY_WORKER_OPS_SIMD_H_

#include <cmath>
#include <cstdint>
#include <cstring>

// Vectors for kernels: files that are compiled once for each CpuLevel
// (worker/ops/cpu_level.h), with LORY_CPU_LEVEL naming the namespace of the
// copy and LORY_SIMD_BYTES the size of its vectors. Only such files include
// this. They keep to code that is inlined: what is not could be shared, by the
// linker, with a copy that the CPU cannot run.
namespace lory::ops {

#define LORY_INLINE [[gnu::always_inline]] inline

// Vectors of T: operators work lane by lane.
template <typename T, int kBytes>
struct Simd {
  typedef T Vec __attribute__((vector_size(kBytes)));
  static constexpr int kSize = kBytes;
  static constexpr int kLanes = kBytes / sizeof(T);

  LORY_INLINE static Vec Load(const T* from) {
    Vec vec;
    std::memcpy(&vec, from, sizeof(vec));
    return vec;
  }
  LORY_INLINE static void Store(T* to, Vec vec) {
    std::memcpy(to, &vec, sizeof(vec));
  }
  // Minus zero changes nothing, as the compiler knows; plus zero would.
  LORY_INLINE static Vec All(T value) { return value - Vec{}; }
  LORY_INLINE static T Sum(Vec vec) {
    T sum = 0;
    for (int lane = 0; lane < kLanes; ++lane) sum += vec[lane];
    return sum;
  }
};

// e^x of each lane. Floats: range reduction to |r| <= ln(2) / 2 and the minimax
// polynomial of Cephes' expf, within 2 units in the last place; below -87 it
// is e^-87, nothing a sum notices. Doubles: the library's.
template <typename S>
LORY_INLINE typename S::Vec Exp(typename S::Vec x) {
  using Vec = typename S::Vec;
  if constexpr (sizeof(x[0]) == sizeof(double)) {
    for (int lane = 0; lane < S::kLanes; ++lane) x[lane] = std::exp(x[lane]);
    return x;
  } else {
    using Int = typename Simd<int32_t, S::kSize>::Vec;
    const Vec low = S::All(-87.0f);
    const Vec high = S::All(88.0f);
    x = x < low ? low : x;
    x = x > high ? high : x;
    // Adding 1.5 * 2^23 rounds to the nearest integer.
    const Vec magic = S::All(12582912.0f);
    const Vec n = (x * 1.44269504088896341f + magic) - magic;
    const Vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    Vec p = S::All(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const Int exponent = (__builtin_convertvector(n, Int) + 127) << 23;
    return p * reinterpret_cast<Vec>(exponent);
  }
}

// 1 / (1 + e^-x).
template <typename S>
LORY_INLINE typename S::Vec Sigmoid(typename S::Vec x) {
  return 1 / (1 + Exp<S>(-x));
}

}  // namespace lory::ops

namespace lory::ops::LORY_CPU_LEVEL {

// The vectors of this copy of a kernel.
template <typename T>
using Native = Simd<T, LORY_SIMD_BYTES>;

}  // namespace lory::ops::LORY_CPU_LEVEL

#endif  // LORY_WORKER_OPS_SIMD_H_
