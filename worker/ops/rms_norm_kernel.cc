#include "worker/ops/rms_norm_kernel.h"

#include <cmath>

#include "worker/ops/simd.h"

namespace lory::ops::LORY_CPU_LEVEL {
namespace {

template <typename S, typename T>
LORY_INLINE void ForwardBody(const RmsNormArguments<T>& args) {
  const int64_t D = args.columns;
  for (int64_t row = 0; row < args.rows; ++row) {
    const T* const x = args.hidden_RD + row * D;
    typename S::Vec squares = {};
    int64_t c = 0;
    for (; c + S::kLanes <= D; c += S::kLanes) {
      const typename S::Vec value = S::Load(x + c);
      squares += value * value;
    }
    T sum = S::Sum(squares);
    for (; c < D; ++c) sum += x[c] * x[c];
    const T scale = 1 / std::sqrt(sum / static_cast<T>(D) + args.epsilon);
    args.scale_R[row] = scale;
    T* const out = args.out_RD + row * D;
    for (c = 0; c + S::kLanes <= D; c += S::kLanes) {
      S::Store(out + c, S::Load(x + c) * scale * S::Load(args.weight_D + c));
    }
    for (; c < D; ++c) out[c] = x[c] * scale * args.weight_D[c];
  }
}

// With s the scale and n = x s: dx = s (w dy - n mean(w dy n)), dw = sum dy n.
template <typename S, typename T>
LORY_INLINE void GradientBody(const RmsNormGradientArguments<T>& args) {
  using Vec = typename S::Vec;
  const int64_t D = args.columns;
  for (int64_t row = 0; row < args.rows; ++row) {
    const T* const x = args.hidden_RD + row * D;
    const T* const dy = args.gradient_out_RD + row * D;
    const T* const w = args.weight_D;
    T* const dw = args.to_weight_D;
    const T scale = args.scale_R[row];
    Vec dots = {};
    int64_t c = 0;
    for (; c + S::kLanes <= D; c += S::kLanes) {
      const Vec product = S::Load(dy + c) * S::Load(x + c) * scale;
      dots += product * S::Load(w + c);
      S::Store(dw + c, S::Load(dw + c) + product);
    }
    T dot = S::Sum(dots);
    for (; c < D; ++c) {
      const T product = dy[c] * x[c] * scale;
      dot += product * w[c];
      dw[c] += product;
    }
    const T mean = dot / static_cast<T>(D) * scale;
    T* const dx = args.to_hidden_RD + row * D;
    for (c = 0; c + S::kLanes <= D; c += S::kLanes) {
      S::Store(
          dx + c,
          (S::Load(w + c) * S::Load(dy + c) - S::Load(x + c) * mean) * scale);
    }
    for (; c < D; ++c) dx[c] = (w[c] * dy[c] - x[c] * mean) * scale;
  }
}

}  // namespace

template <typename T>
void RmsNormRows(const RmsNormArguments<T>& arguments) {
  ForwardBody<Native<T>, T>(arguments);
}
LORY_INSTANTIATE_KERNEL(RmsNormRows, RmsNormArguments)

template <typename T>
void RmsNormGradientRows(const RmsNormGradientArguments<T>& arguments) {
  GradientBody<Native<T>, T>(arguments);
}
LORY_INSTANTIATE_KERNEL(RmsNormGradientRows, RmsNormGradientArguments)

}  // namespace lory::ops::LORY_CPU_LEVEL
