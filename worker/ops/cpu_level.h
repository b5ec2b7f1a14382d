#ifndef LORY_WORKER_OPS_CPU_LEVEL_H_
#define LORY_WORKER_OPS_CPU_LEVEL_H_

// One program for every x86-64: kernels are compiled for several instruction
// sets and the best that the CPU has is called. Which one is fixed for a CPU,
// so results are the same bits on every run.
namespace lory::ops {

// Also the names of the namespaces that hold a kernel's copies: baseline, avx2,
// avx512. Elsewhere than on x86-64 there is the first only.
enum class CpuLevel { kBaseline, kAvx2, kAvx512 };

// Found once.
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

// Bytes of a vector.
inline int VectorBytes() {
  switch (CurrentCpuLevel()) {
    case CpuLevel::kAvx512:
      return 64;
    case CpuLevel::kAvx2:
      return 32;
    case CpuLevel::kBaseline:
      return 16;
  }
  return 16;
}

// Declares `template <typename T> void Name(const Arguments<T>&)`, T float or
// double, and its copies, which the kernel file defines in namespace
// lory::ops::LORY_CPU_LEVEL.
#if defined(__x86_64__)
#define LORY_DECLARE_KERNEL(Name, Arguments)        \
  namespace baseline {                              \
  template <typename T>                             \
  void Name(const Arguments<T>& arguments);         \
  }                                                 \
  namespace avx2 {                                  \
  template <typename T>                             \
  void Name(const Arguments<T>& arguments);         \
  }                                                 \
  namespace avx512 {                                \
  template <typename T>                             \
  void Name(const Arguments<T>& arguments);         \
  }                                                 \
  template <typename T>                             \
  inline void Name(const Arguments<T>& arguments) { \
    switch (CurrentCpuLevel()) {                    \
      case CpuLevel::kAvx512:                       \
        return avx512::Name(arguments);             \
      case CpuLevel::kAvx2:                         \
        return avx2::Name(arguments);               \
      case CpuLevel::kBaseline:                     \
        return baseline::Name(arguments);           \
    }                                               \
  }
#else
#define LORY_DECLARE_KERNEL(Name, Arguments)        \
  namespace baseline {                              \
  template <typename T>                             \
  void Name(const Arguments<T>& arguments);         \
  }                                                 \
  template <typename T>                             \
  inline void Name(const Arguments<T>& arguments) { \
    baseline::Name(arguments);                      \
  }
#endif

// In the kernel file, at the end of namespace lory::ops::LORY_CPU_LEVEL.
#define LORY_INSTANTIATE_KERNEL(Name, Arguments)      \
  template void Name<float>(const Arguments<float>&); \
  template void Name<double>(const Arguments<double>&);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_CPU_LEVEL_H_
