#ifndef LORY_WORKER_OPS_SIMD_H_
#define LORY_WORKER_OPS_SIMD_H_

#include <cmath>
#include <cstdint>
#include <cstring>

// Vectors of the CPU that runs the program, not of the one it was built for.
//
// A kernel is written once as an always-inlined template over Simd<T, bytes>
// and instantiated for each instruction set in functions that carry a target
// attribute; LORY_DEFINE_KERNEL makes those and the choice between them.
// Within one instruction set results are the same bits on every run.
namespace lory::ops {

// Instruction sets a kernel is compiled for. Elsewhere than on x86-64: the
// first only.
enum class CpuLevel { kBaseline, kAvx2, kAvx512 };

// The best that this CPU has; found once.
inline CpuLevel CurrentCpuLevel() {
#if defined(__x86_64__)
  static const CpuLevel level =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
          ? CpuLevel::kAvx512
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
          ? CpuLevel::kAvx2
          : CpuLevel::kBaseline;
  return level;
#else
  return CpuLevel::kBaseline;
#endif
}

#define LORY_INLINE [[gnu::always_inline]] inline

// Vectors of kBytes bytes of T: operators work lane by lane.
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
  LORY_INLINE static Vec All(T value) { return Vec{} + value; }
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

#if defined(__x86_64__)
#define LORY_TARGET_AVX2 [[gnu::target("avx2,fma")]]
#define LORY_TARGET_AVX512 [[gnu::target("avx512f,avx512dq,avx2,fma")]]
#else
#define LORY_TARGET_AVX2
#define LORY_TARGET_AVX512
#endif

// Defines `template <typename T> void name(const Arguments<T>&)` from
// `template <typename S, typename T> LORY_INLINE void body(const
// Arguments<T>&)`, S being the Simd to work with.
#define LORY_DEFINE_KERNEL(name, body, Arguments)                  \
  template <typename T>                                            \
  LORY_TARGET_AVX512 void name##Avx512(const Arguments<T>& args) { \
    body<Simd<T, 64>, T>(args);                                    \
  }                                                                \
  template <typename T>                                            \
  LORY_TARGET_AVX2 void name##Avx2(const Arguments<T>& args) {     \
    body<Simd<T, 32>, T>(args);                                    \
  }                                                                \
  template <typename T>                                            \
  void name##Baseline(const Arguments<T>& args) {                  \
    body<Simd<T, 16>, T>(args);                                    \
  }                                                                \
  template <typename T>                                            \
  void name(const Arguments<T>& args) {                            \
    switch (CurrentCpuLevel()) {                                   \
      case CpuLevel::kAvx512:                                      \
        return name##Avx512(args);                                 \
      case CpuLevel::kAvx2:                                        \
        return name##Avx2(args);                                   \
      case CpuLevel::kBaseline:                                    \
        return name##Baseline(args);                               \
    }                                                              \
  }

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_SIMD_H_
