#include "worker/optim/adam_kernel.h"

#include <cmath>

#include "worker/ops/simd.h"

namespace lory::optim {
namespace {

using ::lory::ops::CpuLevel;
using ::lory::ops::CurrentCpuLevel;
using ::lory::ops::Simd;

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

template <typename T>
struct SquareArguments {
  int64_t count;
  const T* numbers;
  double* sum;
};

template <typename S, typename T>
LORY_INLINE void SquareBody(const SquareArguments<T>& args) {
  using Wide = Simd<double, S::kSize>;
  using Narrow = Simd<T, S::kSize / 2>;  // as many lanes
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
    const double number = args.numbers[i];
    sum += number * number;
  }
  *args.sum = sum;
}

LORY_DEFINE_KERNEL(Adam, AdamBody, AdamArguments)
LORY_DEFINE_KERNEL(Square, SquareBody, SquareArguments)

}  // namespace

void AdamUpdate(const AdamArguments<float>& arguments) { Adam(arguments); }

double SumOfSquares(const float* numbers, int64_t count) {
  double sum = 0;
  Square(SquareArguments<float>{count, numbers, &sum});
  return sum;
}

}  // namespace lory::optim
