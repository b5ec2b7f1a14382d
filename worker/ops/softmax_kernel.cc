#include "worker/ops/softmax_kernel.h"

#include <algorithm>
#include <cmath>

#include "worker/ops/simd.h"

namespace lory::ops::LORY_CPU_LEVEL {
namespace {

template <typename S, typename T>
LORY_INLINE T RowMax(const T* x, int64_t columns) {
  T max = x[0];
  int64_t c = 0;
  if (columns >= S::kLanes) {
    typename S::Vec best = S::Load(x);
    for (c = S::kLanes; c + S::kLanes <= columns; c += S::kLanes) {
      const typename S::Vec value = S::Load(x + c);
      best = value > best ? value : best;
    }
    for (int lane = 0; lane < S::kLanes; ++lane) {
      max = best[lane] > max ? best[lane] : max;
    }
  }
  for (; c < columns; ++c) max = x[c] > max ? x[c] : max;
  return max;
}

template <typename S, typename T>
LORY_INLINE void LossBody(const SoftmaxLossArguments<T>& args) {
  const int64_t V = args.columns;
  for (int64_t row = 0; row < args.rows; ++row) {
    T* const x = args.logits_RV + row * V;
    const int64_t target = args.targets_R[row];
    args.losses_R[row] = 0;
    if (target < 0) {
      for (int64_t c = 0; c < V; ++c) x[c] = 0;
      continue;
    }
    const T max = RowMax<S>(x, V);
    const T target_logit = x[target] - max;
    typename S::Vec sums = {};
    int64_t c = 0;
    for (; c + S::kLanes <= V; c += S::kLanes) {
      const typename S::Vec value = Exp<S>(S::Load(x + c) - max);
      S::Store(x + c, value);
      sums += value;
    }
    T sum = S::Sum(sums);
    for (; c < V; ++c) {
      x[c] = std::exp(x[c] - max);
      sum += x[c];
    }
    args.losses_R[row] = std::log(sum) - target_logit;
    const T scale = 1 / sum;
    for (c = 0; c + S::kLanes <= V; c += S::kLanes) {
      S::Store(x + c, S::Load(x + c) * scale);
    }
    for (; c < V; ++c) x[c] *= scale;
    x[target] -= 1;
  }
}

}  // namespace

template <typename T>
void SoftmaxLossRows(const SoftmaxLossArguments<T>& arguments) {
  LossBody<Native<T>, T>(arguments);
}
LORY_INSTANTIATE_KERNEL(SoftmaxLossRows, SoftmaxLossArguments)

}  // namespace lory::ops::LORY_CPU_LEVEL
