#include "worker/ops/rms_norm.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "worker/ops/rms_norm_kernel.h"

namespace lory::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows whose weight gradients are summed before they join the total: fixed, so
// that the order of the sum does not depend on the threads.
constexpr int64_t kBlockRows = 128;

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& weight, double epsilon) {
    const int64_t D = weight.numel();
    const int64_t rows = hidden.numel() / D;
    at::Tensor out = at::empty_like(hidden);
    at::Tensor scale = at::empty({rows}, hidden.options());
    AT_DISPATCH_FLOATING_TYPES(hidden.scalar_type(), "rms_norm", [&] {
      const scalar_t* const x = hidden.const_data_ptr<scalar_t>();
      const scalar_t* const w = weight.const_data_ptr<scalar_t>();
      scalar_t* const y = out.mutable_data_ptr<scalar_t>();
      scalar_t* const s = scale.mutable_data_ptr<scalar_t>();
      at::parallel_for(0, rows, kBlockRows, [&](int64_t begin, int64_t end) {
        RmsNormRows<scalar_t>({end - begin, D, x + begin * D, w,
                               static_cast<scalar_t>(epsilon), y + begin * D,
                               s + begin});
      });
    });
    context->save_for_backward({hidden, weight, scale});
    return out;
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& hidden = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor gradient = gradients[0].contiguous();
    const int64_t D = weight.numel();
    const int64_t rows = hidden.numel() / D;
    const int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
    at::Tensor to_hidden = at::empty_like(hidden);
    at::Tensor to_weight = at::zeros({D}, weight.options());
    at::Tensor partial = at::zeros({blocks, D}, weight.options());
    AT_DISPATCH_FLOATING_TYPES(hidden.scalar_type(), "rms_norm_backward", [&] {
      const scalar_t* const x = hidden.const_data_ptr<scalar_t>();
      const scalar_t* const w = weight.const_data_ptr<scalar_t>();
      const scalar_t* const s = saved[2].const_data_ptr<scalar_t>();
      const scalar_t* const dy = gradient.const_data_ptr<scalar_t>();
      scalar_t* const dx = to_hidden.mutable_data_ptr<scalar_t>();
      scalar_t* const sums = partial.mutable_data_ptr<scalar_t>();
      at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
        for (int64_t block = first; block < last; ++block) {
          const int64_t row = block * kBlockRows;
          RmsNormGradientRows<scalar_t>({std::min(kBlockRows, rows - row), D,
                                         x + row * D, w, s + row, dy + row * D,
                                         dx + row * D, sums + block * D});
        }
      });
      scalar_t* const dw = to_weight.mutable_data_ptr<scalar_t>();
      for (int64_t block = 0; block < blocks; ++block) {
        for (int64_t c = 0; c < D; ++c) dw[c] += sums[block * D + c];
      }
    });
    return {to_hidden, to_weight, at::Tensor()};
  }
};

}  // namespace

at::Tensor RmsNormReference(const at::Tensor& hidden,
                            const at::Tensor& weight_D, double epsilon) {
  const at::Tensor mean_square = hidden.square().mean(-1, /*keepdim=*/true);
  return hidden * at::rsqrt(mean_square + epsilon) * weight_D;
}

at::Tensor RmsNorm(const at::Tensor& hidden, const at::Tensor& weight_D,
                   double epsilon) {
  TORCH_CHECK(weight_D.dim() == 1 && hidden.size(-1) == weight_D.numel(),
              "hidden ", hidden.sizes(), " does not end in the ",
              weight_D.sizes(), " of the weight");
  if (!hidden.is_cpu()) return RmsNormReference(hidden, weight_D, epsilon);
  return RmsNormFunction::apply(hidden.contiguous(), weight_D.contiguous(),
                                epsilon);
}

}  // namespace lory::ops
