#include "worker/ops/swiglu.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "worker/ops/swiglu_kernel.h"

namespace lory::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Numbers a thread takes at a time: enough to pay for waking it.
constexpr int64_t kSwigluGrain = 16384;

class SwigluFunction : public torch::autograd::Function<SwigluFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate,
                            const at::Tensor& up) {
    const at::Tensor g = gate.contiguous();
    const at::Tensor u = up.contiguous();
    at::Tensor out = at::empty_like(g);
    AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "swiglu", [&] {
      const scalar_t* const gate_data = g.const_data_ptr<scalar_t>();
      const scalar_t* const up_data = u.const_data_ptr<scalar_t>();
      scalar_t* const out_data = out.mutable_data_ptr<scalar_t>();
      at::parallel_for(
          0, g.numel(), kSwigluGrain, [&](int64_t begin, int64_t end) {
            SwigluRows<scalar_t>({1, end - begin, 0, gate_data + begin,
                                  up_data + begin, out_data + begin});
          });
    });
    context->save_for_backward({g, u});
    return out;
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& g = saved[0];
    const at::Tensor& u = saved[1];
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor gradient_gate = at::empty_like(g);
    at::Tensor gradient_up = at::empty_like(u);
    AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "swiglu_backward", [&] {
      const scalar_t* const gate_data = g.const_data_ptr<scalar_t>();
      const scalar_t* const up_data = u.const_data_ptr<scalar_t>();
      const scalar_t* const out = gradient.const_data_ptr<scalar_t>();
      scalar_t* const to_gate = gradient_gate.mutable_data_ptr<scalar_t>();
      scalar_t* const to_up = gradient_up.mutable_data_ptr<scalar_t>();
      at::parallel_for(
          0, g.numel(), kSwigluGrain, [&](int64_t begin, int64_t end) {
            SwigluGradientRows<scalar_t>(
                {1, end - begin, 0, gate_data + begin, up_data + begin,
                 out + begin, 0, to_gate + begin, to_up + begin, nullptr});
          });
    });
    return {gradient_gate, gradient_up};
  }
};

}  // namespace

at::Tensor SwigluReference(const at::Tensor& gate, const at::Tensor& up) {
  return at::silu(gate) * up;
}

at::Tensor Swiglu(const at::Tensor& gate, const at::Tensor& up) {
  TORCH_CHECK(gate.sizes() == up.sizes(), "gate ", gate.sizes(), " and up ",
              up.sizes(), " must have one shape");
  if (!gate.is_cpu()) return SwigluReference(gate, up);
  return SwigluFunction::apply(gate, up);
}

}  // namespace lory::ops
