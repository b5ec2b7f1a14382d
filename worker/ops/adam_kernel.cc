#include "worker/ops/adam_kernel.h"

#include <cmath>

#include "worker/ops/simd.h"

namespace lory::ops::LORY_CPU_LEVEL {
namespace {

// 1 - beta is taken in T: the two weights then add up to one exactly.
template <typename S, typename T>
LORY_INLINE void Advance(const AdamArguments<T>& args, int64_t& i) {
  using Vec = typename S::Vec;
  for (; i + S::kLanes <= args.count; i += S::kLanes) {
    const Vec g = S::Load(args.gradients + i) * args.gradient_scale;
    const Vec m =
        S::Load(args.first_moments + i) * args.beta1 + g * (1 - args.beta1);
    const Vec v = S::Load(args.second_moments + i) * args.beta2 +
                  g * g * (1 - args.beta2);
    S::Store(args.first_moments + i, m);
    S::Store(args.second_moments + i, v);
    Vec root = v;
    for (int lane = 0; lane < S::kLanes; ++lane) {
      root[lane] = std::sqrt(root[lane]);
    }
    const Vec x = S::Load(args.values + i) * args.keep -
                  args.rate_m * m / (root * args.scale_v + args.epsilon);
    S::Store(args.values + i, x);
  }
}

template <typename S, typename T>
LORY_INLINE void AdamBody(const AdamArguments<T>& args) {
  int64_t i = 0;
  Advance<S>(args, i);
  Advance<Simd<T, sizeof(T)>>(args, i);
}

template <typename S, typename T>
LORY_INLINE void SquareBody(const SquareArguments<T>& args) {
  using Wide = Simd<double, S::kSize>;
  // As many numbers of T as there are lanes of double.
  using Narrow = Simd<T, Wide::kLanes* static_cast<int>(sizeof(T))>;
  typename Wide::Vec sums[2] = {};
  int64_t i = 0;
  for (; i + 2 * Wide::kLanes <= args.count; i += 2 * Wide::kLanes) {
    for (int half = 0; half < 2; ++half) {
      const auto wide = __builtin_convertvector(
          Narrow::Load(args.numbers + i + half * Wide::kLanes),
          typename Wide::Vec);
      sums[half] += wide * wide;
    }
  }
  double sum = Wide::Sum(sums[0]) + Wide::Sum(sums[1]);
  for (; i < args.count; ++i) {
    const auto number = static_cast<double>(args.numbers[i]);
    sum += number * number;
  }
  *args.sum = sum;
}

}  // namespace

template <typename T>
void AdamUpdate(const AdamArguments<T>& arguments) {
  AdamBody<Native<T>, T>(arguments);
}
LORY_INSTANTIATE_KERNEL(AdamUpdate, AdamArguments)

template <typename T>
void SumOfSquares(const SquareArguments<T>& arguments) {
  SquareBody<Native<T>, T>(arguments);
}
LORY_INSTANTIATE_KERNEL(SumOfSquares, SquareArguments)

}  // namespace lory::ops::LORY_CPU_LEVEL
