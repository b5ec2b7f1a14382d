#include "worker/ops/expert_mix_kernel.h"

#include "worker/ops/simd.h"

namespace lory::ops::LORY_CPU_LEVEL {
namespace {

// Segments worked on at once: with two vectors of a strip each they fill half
// of AVX2's registers, the rest holds what they are combined with.
constexpr int kSegments = 4;

template <typename T>
constexpr int64_t kWidth = 2 * Native<T>::kLanes;

// Calls strip(row, column, count, e-th strip) for every strip of every expert.
template <typename T, typename Body>
LORY_INLINE void ForStrips(int64_t rows, int64_t columns, int64_t experts,
                           const Body& body) {
  int64_t strip = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; column += kWidth<T>) {
      const int64_t count =
          columns - column < kWidth<T> ? columns - column : kWidth<T>;
      for (int64_t e = 0; e < experts; ++e, ++strip) {
        body(row, column, count, e, strip * kWidth<T>);
      }
    }
  }
}

template <typename T>
LORY_INLINE void StoreStrip(const T* from, bool accumulate, T* to) {
  using S = Native<T>;
  for (int64_t i = 0; i < kWidth<T>; i += S::kLanes) {
    const typename S::Vec strip = S::Load(from + i);
    S::Store(to + i, accumulate ? S::Load(to + i) + strip : strip);
  }
}

template <typename T, int kCount>
LORY_INLINE void MergeSegments(const MergeArguments<T>& args, int64_t first) {
  using S = Native<T>;
  const T* strip = args.strips;
  const T* const routing = args.routing_SE + first * args.expert_count;
  const int64_t size = args.strip_count * kWidth<T>;
  T* out = args.merged + first * size;
  for (int64_t i = 0; i < args.strip_count; ++i, out += kWidth<T>) {
    typename S::Vec sums[kCount][2] = {};
    for (int64_t e = 0; e < args.expert_count; ++e, strip += kWidth<T>) {
      const typename S::Vec low = S::Load(strip);
      const typename S::Vec high = S::Load(strip + S::kLanes);
#pragma GCC unroll 8
      for (int s = 0; s < kCount; ++s) {
        const auto weight = S::All(routing[s * args.expert_count + e]);
        sums[s][0] += weight * low;
        sums[s][1] += weight * high;
      }
    }
#pragma GCC unroll 8
    for (int s = 0; s < kCount; ++s) {
      S::Store(out + s * size, sums[s][0]);
      S::Store(out + s * size + S::kLanes, sums[s][1]);
    }
  }
}

template <typename T, int kCount>
LORY_INLINE void SpreadSegments(const MergeGradientArguments<T>& args,
                                int64_t first) {
  using S = Native<T>;
  const T* const routing = args.routing_SE + first * args.expert_count;
  const int64_t size = args.strip_count * kWidth<T>;
  const T* in = args.merged + first * size;
  T* strip = args.gradient_strips;
  for (int64_t i = 0; i < args.strip_count; ++i, in += kWidth<T>) {
    typename S::Vec values[kCount][2];
#pragma GCC unroll 8
    for (int s = 0; s < kCount; ++s) {
      values[s][0] = S::Load(in + s * size);
      values[s][1] = S::Load(in + s * size + S::kLanes);
    }
    for (int64_t e = 0; e < args.expert_count; ++e, strip += kWidth<T>) {
      typename S::Vec low = S::Load(strip);
      typename S::Vec high = S::Load(strip + S::kLanes);
#pragma GCC unroll 8
      for (int s = 0; s < kCount; ++s) {
        const auto weight = S::All(routing[s * args.expert_count + e]);
        low += weight * values[s][0];
        high += weight * values[s][1];
      }
      S::Store(strip, low);
      S::Store(strip + S::kLanes, high);
    }
  }
}

// Inner products of kCount segments with kExperts experts.
template <typename T, int kCount, int kExperts>
LORY_INLINE int64_t MultiplyExperts(const MergeGradientArguments<T>& args,
                                    int64_t first, int64_t e) {
  using S = Native<T>;
  const int64_t size = args.strip_count * kWidth<T>;
  for (; e + kExperts <= args.expert_count; e += kExperts) {
    typename S::Vec sums[kCount][kExperts] = {};
    const T* strip = args.strips + e * kWidth<T>;
    const T* in = args.merged + first * size;
    for (int64_t i = 0; i < 2 * args.strip_count; ++i) {
      typename S::Vec values[kExperts];
#pragma GCC unroll 8
      for (int x = 0; x < kExperts; ++x) {
        values[x] = S::Load(strip + x * kWidth<T>);
      }
#pragma GCC unroll 8
      for (int s = 0; s < kCount; ++s) {
        const typename S::Vec value = S::Load(in + s * size);
#pragma GCC unroll 8
        for (int x = 0; x < kExperts; ++x) sums[s][x] += value * values[x];
      }
      in += S::kLanes;
      // The strip's second half, then the next strip of these experts.
      strip +=
          i % 2 == 0 ? S::kLanes : args.expert_count * kWidth<T> - S::kLanes;
    }
    for (int s = 0; s < kCount; ++s) {
      for (int x = 0; x < kExperts; ++x) {
        args.to_routing_SE[(first + s) * args.expert_count + e + x] +=
            S::Sum(sums[s][x]);
      }
    }
  }
  return e;
}

template <typename T, int kCount>
LORY_INLINE void GradientOfSegments(const MergeGradientArguments<T>& args,
                                    int64_t first) {
  SpreadSegments<T, kCount>(args, first);
  const int64_t e = MultiplyExperts<T, kCount, 2>(args, first, 0);
  MultiplyExperts<T, kCount, 1>(args, first, e);
}

}  // namespace

template <typename T>
void GatherExperts(const GatherArguments<T>& args) {
  ForStrips<T>(
      args.rows, args.columns, args.expert_count,
      [&](int64_t row, int64_t column, int64_t count, int64_t e, int64_t at)
          __attribute__((always_inline)) {
            const T* const from = args.experts + e * args.expert_stride +
                                  row * args.row_stride + column;
            T* const to = args.strips + at;
            if (count == kWidth<T>) {
              for (int64_t i = 0; i < kWidth<T>; ++i) to[i] = from[i];
              return;
            }
            for (int64_t i = 0; i < kWidth<T>; ++i) {
              to[i] = i < count ? from[i] : 0;
            }
          });
}
LORY_INSTANTIATE_KERNEL(GatherExperts, GatherArguments)

template <typename T>
void ScatterExperts(const ScatterArguments<T>& args) {
  ForStrips<T>(
      args.rows, args.columns, args.expert_count,
      [&](int64_t row, int64_t column, int64_t count, int64_t e, int64_t at)
          __attribute__((always_inline)) {
            const T* const from = args.strips + at;
            T* const to = args.experts + e * args.expert_stride +
                          row * args.row_stride + column;
            if (count == kWidth<T>) {
              StoreStrip(from, args.accumulate, to);
              return;
            }
            for (int64_t i = 0; i < count; ++i) {
              to[i] = args.accumulate ? to[i] + from[i] : from[i];
            }
          });
}
LORY_INSTANTIATE_KERNEL(ScatterExperts, ScatterArguments)

template <typename T>
void MergeExperts(const MergeArguments<T>& args) {
  int64_t s = 0;
  for (; s + kSegments <= args.segment_count; s += kSegments) {
    MergeSegments<T, kSegments>(args, s);
  }
  for (; s < args.segment_count; ++s) MergeSegments<T, 1>(args, s);
}
LORY_INSTANTIATE_KERNEL(MergeExperts, MergeArguments)

template <typename T>
void MergeGradient(const MergeGradientArguments<T>& args) {
  int64_t s = 0;
  for (; s + kSegments <= args.segment_count; s += kSegments) {
    GradientOfSegments<T, kSegments>(args, s);
  }
  for (; s < args.segment_count; ++s) GradientOfSegments<T, 1>(args, s);
}
LORY_INSTANTIATE_KERNEL(MergeGradient, MergeGradientArguments)

}  // namespace lory::ops::LORY_CPU_LEVEL
