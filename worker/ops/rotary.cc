#include "worker/ops/rotary.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

namespace lory::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Positions a thread takes at a time.
constexpr int64_t kRotaryGrain = 64;

// One head; sign -1 turns back, which is the backward pass. The loop is simple
// enough for the compiler to vectorise.
template <typename T>
void Turn(int64_t half, const T* __restrict in, const T* __restrict cosine,
          const T* __restrict sine, T sign, T* __restrict out) {
  for (int64_t i = 0; i < half; ++i) {
    const T low = in[i];
    const T high = in[half + i];
    const T s = sign * sine[i];
    out[i] = low * cosine[i] - high * s;
    out[half + i] = high * cosine[i] + low * s;
  }
}

at::Tensor TurnAll(const at::Tensor& heads_BLHK, const at::Tensor& cosine,
                   const at::Tensor& sine, double sign) {
  at::Tensor out = at::empty_like(heads_BLHK);
  const int64_t length = heads_BLHK.size(1);
  const int64_t head_count = heads_BLHK.size(2);
  const int64_t head_width = heads_BLHK.size(3);
  const int64_t half = head_width / 2;
  AT_DISPATCH_FLOATING_TYPES(heads_BLHK.scalar_type(), "rotary", [&] {
    const scalar_t* const in_data = heads_BLHK.const_data_ptr<scalar_t>();
    const scalar_t* const cos_data = cosine.const_data_ptr<scalar_t>();
    const scalar_t* const sin_data = sine.const_data_ptr<scalar_t>();
    scalar_t* const out_data = out.mutable_data_ptr<scalar_t>();
    at::parallel_for(
        0, heads_BLHK.size(0) * length, kRotaryGrain,
        [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) {
            const int64_t angle = row % length * half;
            for (int64_t head = 0; head < head_count; ++head) {
              const int64_t at = (row * head_count + head) * head_width;
              Turn<scalar_t>(half, in_data + at, cos_data + angle,
                             sin_data + angle, static_cast<scalar_t>(sign),
                             out_data + at);
            }
          }
        });
  });
  return out;
}

class RotaryFunction : public torch::autograd::Function<RotaryFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& heads,
                            const at::Tensor& cosine, const at::Tensor& sine) {
    context->save_for_backward({cosine, sine});
    return TurnAll(heads, cosine, sine, 1);
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    return {TurnAll(gradients[0].contiguous(), saved[0], saved[1], -1),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

RotaryTable MakeRotaryTable(int64_t length, int64_t head_width, double base,
                            at::TensorOptions options) {
  const int64_t half = head_width / 2;
  std::vector<double> cosine(length * half);
  std::vector<double> sine(length * half);
  for (int64_t position = 0; position < length; ++position) {
    for (int64_t i = 0; i < half; ++i) {
      const double frequency =
          std::pow(base, -2.0 * static_cast<double>(i) /
                             static_cast<double>(head_width));
      const double angle = static_cast<double>(position) * frequency;
      cosine[position * half + i] = std::cos(angle);
      sine[position * half + i] = std::sin(angle);
    }
  }
  // to(copy) because the vectors end with this function.
  const auto tensor = [&](std::vector<double>& numbers) {
    return at::from_blob(numbers.data(), {length, half}, at::kDouble)
        .to(options, /*non_blocking=*/false, /*copy=*/true);
  };
  return {tensor(cosine), tensor(sine)};
}

at::Tensor ApplyRotaryReference(const at::Tensor& heads_BLHK,
                                const RotaryTable& table) {
  const int64_t half = heads_BLHK.size(3) / 2;
  const auto widen = [&](const at::Tensor& angles) {
    const at::Tensor used = angles.narrow(0, 0, heads_BLHK.size(1));
    return at::cat({used, used}, -1).unsqueeze(1);  // L1K
  };
  const at::Tensor low = heads_BLHK.narrow(3, 0, half);
  const at::Tensor high = heads_BLHK.narrow(3, half, half);
  return heads_BLHK * widen(table.cosine) +
         at::cat({-high, low}, -1) * widen(table.sine);
}

at::Tensor ApplyRotary(const at::Tensor& heads_BLHK, const RotaryTable& table) {
  TORCH_CHECK(heads_BLHK.size(1) <= table.cosine.size(0), "sequence of ",
              heads_BLHK.size(1), " tokens, but a rotary table of ",
              table.cosine.size(0), " positions");
  TORCH_CHECK(heads_BLHK.size(3) == 2 * table.cosine.size(1), "heads of ",
              heads_BLHK.size(3), ", but a rotary table for ",
              2 * table.cosine.size(1));
  if (!heads_BLHK.is_cpu()) return ApplyRotaryReference(heads_BLHK, table);
  return RotaryFunction::apply(heads_BLHK.contiguous(), table.cosine,
                               table.sine);
}

}  // namespace lory::ops
