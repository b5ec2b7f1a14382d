#include "worker/ops/swiglu_kernel.h"

#include "worker/ops/simd.h"

namespace lory::ops::LORY_CPU_LEVEL {
namespace {

// With s = sigmoid(g): silu = g s and silu' = s (1 + g (1 - s)).
template <typename S>
LORY_INLINE void GradientLanes(typename S::Vec gate, typename S::Vec up,
                               typename S::Vec gradient,
                               typename S::Vec& gradient_gate,
                               typename S::Vec& gradient_up,
                               typename S::Vec& out) {
  const typename S::Vec sigmoid = Sigmoid<S>(gate);
  const typename S::Vec silu = gate * sigmoid;
  gradient_up = gradient * silu;
  gradient_gate = gradient * up * (sigmoid + silu * (1 - sigmoid));
  out = silu * up;
}

template <typename S, typename T>
LORY_INLINE void ForwardBody(const SwigluArguments<T>& args) {
  // One lane wide for the columns that fill no vector: the same arithmetic.
  using One = Simd<T, sizeof(T)>;
  for (int64_t row = 0; row < args.rows; ++row) {
    const T* const gate = args.gate + row * args.stride;
    const T* const up = args.up + row * args.stride;
    T* const out = args.out + row * args.stride;
    int64_t c = 0;
    for (; c + S::kLanes <= args.columns; c += S::kLanes) {
      const typename S::Vec g = S::Load(gate + c);
      S::Store(out + c, g * Sigmoid<S>(g) * S::Load(up + c));
    }
    for (; c < args.columns; ++c) {
      const typename One::Vec g = One::Load(gate + c);
      One::Store(out + c, g * Sigmoid<One>(g) * One::Load(up + c));
    }
  }
}

template <typename S, typename T>
LORY_INLINE void GradientColumns(const SwigluGradientArguments<T>& args,
                                 int64_t row, int64_t& column) {
  const int64_t at = row * args.stride;
  const T* const gradient = args.gradient_out + row * args.gradient_stride;
  for (; column + S::kLanes <= args.columns; column += S::kLanes) {
    typename S::Vec gradient_gate, gradient_up, out;
    GradientLanes<S>(S::Load(args.gate + at + column),
                     S::Load(args.up + at + column), S::Load(gradient + column),
                     gradient_gate, gradient_up, out);
    S::Store(args.gradient_gate + at + column, gradient_gate);
    S::Store(args.gradient_up + at + column, gradient_up);
    if (args.out != nullptr) S::Store(args.out + at + column, out);
  }
}

template <typename S, typename T>
LORY_INLINE void GradientBody(const SwigluGradientArguments<T>& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    int64_t column = 0;
    GradientColumns<S>(args, row, column);
    GradientColumns<Simd<T, sizeof(T)>>(args, row, column);
  }
}

}  // namespace

template <typename T>
void SwigluRows(const SwigluArguments<T>& arguments) {
  ForwardBody<Native<T>, T>(arguments);
}
LORY_INSTANTIATE_KERNEL(SwigluRows, SwigluArguments)

template <typename T>
void SwigluGradientRows(const SwigluGradientArguments<T>& arguments) {
  GradientBody<Native<T>, T>(arguments);
}
LORY_INSTANTIATE_KERNEL(SwigluGradientRows, SwigluGradientArguments)

}  // namespace lory::ops::LORY_CPU_LEVEL
